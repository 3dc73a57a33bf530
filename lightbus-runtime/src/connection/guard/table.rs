//! Walks over a table of headers without decoding it: is it well formed, and nested no deeper than allowed?
//!
//! A loop, not a recursion: whoever decodes a table recurses, and this is what comes before it.

/// Deepest nesting of tables and lists that is accepted in headers. The broker's own notes on a dead letter take four.
pub(crate) const DEEPEST: usize = 32;

/// Why a message's headers or other properties cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    TooDeep,
    NotText,
    Malformed,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooDeep => write!(f, "its headers are nested deeper than {DEEPEST} levels"),
            Self::NotText => f.write_str("a name or property in it is not UTF-8"),
            Self::Malformed => f.write_str("its properties are malformed"),
        }
    }
}

/// What is being read: up to where, and whether its values have names.
#[derive(Clone, Copy, Default)]
struct Level {
    end: usize,
    named: bool,
}

/// Checks the inside of a table, without the length before it.
pub(super) fn check(table: &[u8]) -> Result<(), Fault> {
    let mut levels = [Level::default(); DEEPEST];
    levels[0] = Level {
        end: table.len(),
        named: true,
    };
    let (mut depth, mut at) = (0, 0);
    loop {
        let Level { end, named } = levels[depth];
        if at == end {
            match depth {
                0 => return Ok(()),
                _ => depth -= 1,
            }
            continue;
        }
        let inside = &table[..end];
        if named {
            at = name(inside, at)?;
        }
        let kind = *inside.get(at).ok_or(Fault::Malformed)?;
        let value = extent(inside, at + 1, kind).ok_or(Fault::Malformed)?;
        if matches!(kind, b'F' | b'A') {
            depth += 1;
            at = value.start + LENGTH;
            *levels.get_mut(depth).ok_or(Fault::TooDeep)? = Level {
                end: value.end,
                named: kind == b'F',
            };
        } else {
            at = value.end;
        }
    }
}

/// The bytes of a length before a table, a list or a long text.
const LENGTH: usize = 4;

fn name(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let text = short(bytes, at).ok_or(Fault::Malformed)?;
    match is_text(&bytes[text.clone()]) {
        true => Ok(text.end),
        false => Err(Fault::NotText),
    }
}

/// Is it UTF-8? Nearly all short strings are ASCII, which is found out sooner.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    bytes.is_ascii() || std::str::from_utf8(bytes).is_ok()
}

/// Where a value lies, as far as its type and length say.
fn extent(bytes: &[u8], at: usize, kind: u8) -> Option<std::ops::Range<usize>> {
    let size = match kind {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'U' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'L' | b'l' | b'd' | b'T' => 8,
        b'S' | b'x' | b'F' | b'A' => LENGTH + long(bytes, at)?,
        _ => return None,
    };
    let end = at.checked_add(size).filter(|end| *end <= bytes.len())?;
    Some(at..end)
}

/// Where the text of a short string lies, whose length is at `at`.
pub(super) fn short(bytes: &[u8], at: usize) -> Option<std::ops::Range<usize>> {
    let start = at + 1;
    let end = start + usize::from(*bytes.get(at)?);
    (end <= bytes.len()).then_some(start..end)
}

/// The four-byte number at `at`.
pub(super) fn long(bytes: &[u8], at: usize) -> Option<usize> {
    let digits = bytes.get(at..at.checked_add(LENGTH)?)?;
    usize::try_from(u32::from_be_bytes(digits.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `inside` as the value of a header.
    fn nested(kind: u8, inside: &[u8]) -> Vec<u8> {
        let length = u32::try_from(inside.len()).unwrap_or_default();
        let name: &[u8] = b"\x01k";
        [name, &[kind], &length.to_be_bytes(), inside].concat()
    }

    fn tables(depth: usize) -> Vec<u8> {
        (1..depth).fold(Vec::new(), |inside, _| nested(b'F', &inside))
    }

    #[test]
    fn nesting_is_bounded() {
        assert_eq!(check(&tables(DEEPEST)), Ok(()));
        assert_eq!(check(&tables(DEEPEST + 1)), Err(Fault::TooDeep));
        assert_eq!(check(&tables(20_000)), Err(Fault::TooDeep));
        // Side by side, no number of them is too many.
        assert_eq!(check(&tables(DEEPEST).repeat(100)), Ok(()));
        let lists = (0..40).fold(Vec::new(), |inside: Vec<u8>, _| {
            nested(b'A', &inside)[2..].to_vec()
        });
        assert_eq!(check(&nested(b'A', &lists)), Err(Fault::TooDeep));
    }

    #[test]
    fn every_type_has_its_length() {
        let all: &[u8] = b"\x01aV\x01bt\x01\x01cb\x01\x01dB\x01\x01es\0\x01\x01fU\0\x01\x01gu\0\x01\x01hI\0\0\0\x01\
            \x01ii\0\0\0\x01\x01jf\0\0\0\0\x01kD\0\0\0\0\x01\x01lL\0\0\0\0\0\0\0\x01\x01ml\0\0\0\0\0\0\0\x01\
            \x01nd\0\0\0\0\0\0\0\0\x01oT\0\0\0\0\0\0\0\x01\x01pS\0\0\0\x01\xff\x01qx\0\0\0\x01\xff\x01rA\0\0\0\x02tt\0";
        assert_eq!(check(&all[..all.len() - 1]), Ok(()));
        for cut in 1..all.len() - 1 {
            // Where a header ends, the rest is no mistake.
            let whole = check(&all[..cut]);
            assert!(
                matches!(whole, Ok(()) | Err(Fault::Malformed)),
                "{cut}: {whole:?}"
            );
        }
    }

    #[test]
    fn what_no_decoder_reads_is_malformed() {
        for malformed in [
            &b"\x01k"[..],
            b"\x02k",
            b"\x01k?",
            b"\x01kS\0\0\0\x02x",
            b"\x01kF\xff\xff\xff\xff",
            // The inner table ends after the outer one.
            b"\x01kF\0\0\0\x07\x01kF\0\0\0\x05\x01kt\x01",
        ] {
            assert_eq!(check(malformed), Err(Fault::Malformed), "{malformed:?}");
        }
        assert_eq!(check(b"\x01\xffV"), Err(Fault::NotText));
    }
}
