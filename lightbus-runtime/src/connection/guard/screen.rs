//! Looks at what the broker sends, frame by frame, before lapin decodes it.
//!
//! Bodies are passed over by their length. Of methods, only those are looked at that carry what others wrote: the names of an exchange
//! and a routing key. Of content headers everything is.

use std::io;

use super::content;
use super::table::{self, Fault, short};

/// Type, channel and size before a frame's payload, and the octet after it.
const HEAD: usize = 7;
const OVERHEAD: usize = HEAD + 1;
const END: u8 = 0xCE;

const METHOD: u8 = 1;
const HEADER: u8 = 2;

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
    Replace(Unreadable),
}

/// Where the frame lies that cannot be read, and what stands in for it.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) by: Vec<u8>,
    pub(super) fault: Fault,
}

/// Where in the stream of frames we are.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// What is left of a frame that is not looked at.
    skip: usize,
    /// Channels whose next content header belongs to a method that could not be read. At most one entry for each open channel.
    spoilt: Vec<u16>,
}

impl Screen {
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
            if !matches!(head.kind, METHOD | HEADER) {
                self.skip = head.frame;
                continue;
            }
            if head.frame > LARGEST {
                return Err(broken("a frame that is no body is too large"));
            }
            let Some(frame) = rest.get_mut(..head.frame) else {
                return Ok(Step::Pass(at));
            };
            let payload = &mut frame[HEAD..head.frame - 1];
            if head.kind == METHOD {
                self.method(head.channel, payload)?;
            } else if let Err(fault) = self.header(head.channel, payload) {
                return Ok(Step::Replace(Unreadable {
                    start: at,
                    end: at + head.frame,
                    by: replacement(frame, fault)?,
                    fault,
                }));
            }
            at += head.frame;
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
                if std::str::from_utf8(name).is_err() {
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

fn replacement(frame: &[u8], fault: Fault) -> io::Result<Vec<u8>> {
    let payload = &frame[HEAD..frame.len() - 1];
    let header = content::readable(payload, fault)
        .ok_or_else(|| broken("a content header ends before its properties"))?;
    let size = u32::try_from(header.len()).unwrap_or_default();
    let mut by = Vec::with_capacity(OVERHEAD + header.len());
    by.extend_from_slice(&frame[..3]);
    by.extend_from_slice(&size.to_be_bytes());
    by.extend_from_slice(&header);
    by.push(END);
    Ok(by)
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
