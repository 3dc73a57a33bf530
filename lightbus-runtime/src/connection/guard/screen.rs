//! Looks at what the broker sends, frame by frame, before lapin decodes it.
//!
//! Bodies are passed over by their length, and cut beyond what anybody here accepts. Of methods, only those are looked at that carry what
//! others wrote: the names of an exchange and a routing key. Of content headers everything is.

use std::io;

use super::content;
use super::table::{self, Fault, is_text, short};

/// Type, channel and size before a frame's payload, and the octet after it.
const HEAD: usize = 7;
const OVERHEAD: usize = HEAD + 1;
const END: u8 = 0xCE;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// No broker sends methods or headers beyond this: they would have to be kept until they are whole.
const LARGEST: usize = 16 * 1024 * 1024;

/// Class and method of what is looked at.
const CONNECTION_START: [u8; 4] = [0, 10, 0, 10];
const BASIC_RETURN: [u8; 4] = [0, 60, 0, 50];
const BASIC_DELIVER: [u8; 4] = [0, 60, 0, 60];
const BASIC_GET_OK: [u8; 4] = [0, 60, 0, 71];

/// How far bytes may pass.
#[derive(Debug)]
pub(super) enum Step {
    /// That many may. What follows, if anything, is a frame that is not whole yet.
    Pass(usize),
    /// All may up to a frame that has to be replaced.
    Replace(Replacement),
}

/// Where a frame lies that must not pass, and what stands in for it.
#[derive(Debug)]
pub(super) struct Replacement {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) by: Vec<u8>,
    /// Why the message cannot be read; `None` for what is beyond the end of a body.
    pub(super) fault: Option<Fault>,
}

/// Where in the stream of frames we are.
#[derive(Debug)]
pub(super) struct Screen {
    /// Longer bodies are refused by whoever gets them, so one byte more than this is all that passes of them.
    body_limit: u64,
    /// What is left of a frame that is not looked at.
    skip: usize,
    /// Channels whose next content header belongs to a method that could not be read. At most one entry for each open channel.
    spoilt: Vec<u16>,
    /// Bodies that are being cut. At most one entry for each open channel.
    cuts: Vec<Cut>,
}

/// A body that is too long.
#[derive(Debug)]
struct Cut {
    channel: u16,
    /// How much of it may pass yet.
    keep: u64,
    /// How much of it is still to come.
    left: u64,
}

impl Screen {
    pub(super) fn new(body_limit: usize) -> Self {
        Self {
            body_limit: u64::try_from(body_limit).unwrap_or(u64::MAX),
            skip: 0,
            spoilt: Vec::new(),
            cuts: Vec::new(),
        }
    }

    /// Looks at `bytes`, which begin where the last ones that passed ended. Text in methods is mended in place.
    pub(super) fn look(&mut self, bytes: &mut [u8]) -> io::Result<Step> {
        let mut at = 0;
        loop {
            let skipped = self.skip.min(bytes.len() - at);
            self.skip -= skipped;
            at += skipped;
            let rest = &mut bytes[at..];
            let Some(head) = Head::read(rest) else {
                return Ok(Step::Pass(at));
            };
            if self.passes_unseen(&head) {
                self.skip = head.frame;
                continue;
            }
            if head.frame > LARGEST {
                return Err(broken("a frame is too large"));
            }
            let Some(frame) = rest.get_mut(..head.frame) else {
                return Ok(Step::Pass(at));
            };
            let (start, end) = (at, at + head.frame);
            if let Some((by, fault)) = self.replacement(&head, frame)? {
                return Ok(Step::Replace(Replacement {
                    start,
                    end,
                    by,
                    fault,
                }));
            }
            at = end;
        }
    }

    /// Need nobody look into the frame?
    fn passes_unseen(&mut self, head: &Head) -> bool {
        match head.kind {
            METHOD | HEADER => false,
            BODY if !self.cuts.is_empty() => {
                let length = head.payload();
                let cut = self.cuts.iter_mut().find(|cut| cut.channel == head.channel);
                cut.is_none_or(|cut| cut.pass(length))
            }
            _ => true,
        }
    }

    /// Looks into a whole frame. What to put in its place, if it must not pass.
    fn replacement(
        &mut self,
        head: &Head,
        frame: &mut [u8],
    ) -> io::Result<Option<(Vec<u8>, Option<Fault>)>> {
        let payload = &mut frame[HEAD..head.frame - 1];
        match head.kind {
            METHOD => self.method(head.channel, payload).map(|()| None),
            HEADER => {
                self.cut_body(head.channel, payload);
                match self.header(head.channel, payload) {
                    Ok(()) => Ok(None),
                    Err(fault) => Ok(Some((readable(frame, fault)?, Some(fault)))),
                }
            }
            _ => Ok(Some((self.shorten(head, payload), None))),
        }
    }

    /// Lets the header of a body that is too long say that it is shorter.
    fn cut_body(&mut self, channel: u16, payload: &mut [u8]) {
        self.cuts.retain(|cut| cut.channel != channel);
        let Some(size) = payload.get_mut(4..12) else {
            return;
        };
        let said = size.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        if said > self.body_limit {
            let keep = self.body_limit + 1;
            size.copy_from_slice(&keep.to_be_bytes());
            self.cuts.push(Cut {
                channel,
                keep,
                left: said,
            });
        }
    }

    /// The part of a body's frame that may pass.
    fn shorten(&mut self, head: &Head, payload: &[u8]) -> Vec<u8> {
        let at = self.cuts.iter().position(|cut| cut.channel == head.channel);
        let kept = at.map_or(0, |at| {
            let cut = &mut self.cuts[at];
            let kept = std::mem::take(&mut cut.keep);
            cut.left = cut.left.saturating_sub(head.payload());
            if cut.left == 0 {
                self.cuts.swap_remove(at);
            }
            usize::try_from(kept).unwrap_or(usize::MAX)
        });
        match &payload[..kept.min(payload.len())] {
            [] => Vec::new(),
            kept => frame_of(BODY, head.channel, kept),
        }
    }

    fn method(&mut self, channel: u16, payload: &mut [u8]) -> io::Result<()> {
        let Some((id, arguments)) = payload.split_first_chunk_mut() else {
            return Ok(());
        };
        let fields: &[Field] = match *id {
            BASIC_DELIVER => &[Field::Name, Field::Other(9), Field::Name, Field::Name],
            BASIC_RETURN => &[Field::Other(2), Field::Name, Field::Name, Field::Name],
            BASIC_GET_OK => &[Field::Other(9), Field::Name, Field::Name],
            // The broker's own properties: the only table that comes outside a message.
            CONNECTION_START => {
                let table = arguments.get(6..).unwrap_or_default();
                let length = arguments.get(2..).and_then(|bytes| table::long(bytes, 0));
                let table = length.and_then(|length| table.get(..length));
                return match table.map(table::check) {
                    Some(Ok(())) => Ok(()),
                    _ => Err(broken("the broker's properties cannot be read")),
                };
            }
            _ => return Ok(()),
        };
        if mend(arguments, fields) && !self.spoilt.contains(&channel) {
            self.spoilt.push(channel);
        }
        Ok(())
    }

    fn header(&mut self, channel: u16, payload: &[u8]) -> Result<(), Fault> {
        let spoilt = !self.spoilt.is_empty() && self.spoilt.contains(&channel);
        if spoilt {
            self.spoilt.retain(|other| *other != channel);
        }
        match content::check(payload) {
            Ok(()) if spoilt => Err(Fault::NotText),
            checked => checked,
        }
    }
}

impl Cut {
    /// Takes so many bytes of the body into account, if they may pass as they are.
    fn pass(&mut self, length: u64) -> bool {
        let passes = length <= self.keep;
        if passes {
            self.keep -= length;
            self.left = self.left.saturating_sub(length);
        }
        passes
    }
}

/// What comes before a frame's payload.
struct Head {
    kind: u8,
    channel: u16,
    /// The length of the whole frame.
    frame: usize,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [kind, high, low, size @ ..] = *bytes.first_chunk::<HEAD>()?;
        Some(Self {
            kind,
            channel: u16::from_be_bytes([high, low]),
            frame: OVERHEAD + usize::try_from(u32::from_be_bytes(size)).ok()?,
        })
    }

    fn payload(&self) -> u64 {
        u64::try_from(self.frame - OVERHEAD).unwrap_or(u64::MAX)
    }
}

/// A method's arguments, as far as the names in them go.
enum Field {
    Name,
    Other(usize),
}

/// Takes out of names what is not text, so that they can be read. Tells whether it had to.
fn mend(arguments: &mut [u8], fields: &[Field]) -> bool {
    let (mut at, mut mended) = (0, false);
    for field in fields {
        match field {
            Field::Other(size) => at += size,
            Field::Name => {
                let Some(name) = short(arguments, at) else {
                    break;
                };
                at = name.end;
                let name = &mut arguments[name];
                if !is_text(name) {
                    mended = true;
                    for byte in name.iter_mut().filter(|byte| !byte.is_ascii()) {
                        *byte = b'?';
                    }
                }
            }
        }
    }
    mended
}

/// A content header that lapin can read.
fn readable(frame: &[u8], fault: Fault) -> io::Result<Vec<u8>> {
    let (head, payload) = (Head::read(frame), &frame[HEAD..frame.len() - 1]);
    let header = content::readable(payload, fault);
    let both = head.zip(header);
    both.map(|(head, header)| frame_of(HEADER, head.channel, &header))
        .ok_or_else(|| broken("a content header ends before its properties"))
}

fn frame_of(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap_or_default();
    let mut frame = Vec::with_capacity(OVERHEAD + payload.len());
    frame.push(kind);
    frame.extend_from_slice(&channel.to_be_bytes());
    frame.extend_from_slice(&size.to_be_bytes());
    frame.extend_from_slice(payload);
    frame.push(END);
    frame
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
