//! Which names are legal on the bus. Names become parts of queue names and routing keys, so they are checked before anything is sent.

use crate::Error;

const NAME_MAX: usize = 40;

/// An app's or a listener's name: `[a-z][a-z0-9-]{0,39}`.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Error> {
    if is_name(name) {
        return Ok(());
    }
    Err(Error::Config(format!(
        "`{name}` is not a legal {what} name: use lower-case letters, digits and dashes, a letter first, at most {NAME_MAX} in all, like `auth-app`"
    )))
}

pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// An instance: 128 bits in hexadecimal.
pub(crate) fn is_instance(name: &str) -> bool {
    name.len() == 32
        && name
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        for legal in ["a", "auth-app", "a1-2", &"a".repeat(40)] {
            assert!(is_name(legal), "{legal}");
        }
        for illegal in [
            "",
            "1a",
            "-a",
            "Auth",
            "auth_app",
            "auth.app",
            "é",
            &"a".repeat(41),
        ] {
            assert!(!is_name(illegal), "{illegal}");
        }
    }

    #[test]
    fn the_error_names_the_name_and_what_is_legal() {
        let text = check_name("app", "Auth App").map_err(|e| e.to_string());
        assert_eq!(
            text,
            Err("`Auth App` is not a legal app name: use lower-case letters, digits and dashes, a letter first, at most 40 in all, like `auth-app`".into())
        );
    }
}
