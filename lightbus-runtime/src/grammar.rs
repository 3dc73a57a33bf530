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

/// A task queue's name without its prefix: an API's, and perhaps a queue's or a limited task's behind it.
pub(crate) fn check_task_queue(name: &str) -> Result<(), Error> {
    let (api, rest) = name.split_at(name.find([':', '~']).unwrap_or(name.len()));
    let rest = rest.strip_prefix([':', '~']);
    let mut words = api.split('.').chain(rest);
    if words.all(is_word) {
        return Ok(());
    }
    Err(Error::Config(format!(
        "`{name}` is not a legal name of a task queue: write the API's name, `auth`, or with a queue `auth:slow`, or with a limited task `auth~sync`"
    )))
}

/// Can these be an API and one of its tasks?
pub(crate) fn is_task(api: &str, task: &str) -> bool {
    api.len() <= 60 && api.split('.').all(is_word) && is_word(task)
}

/// A word of an API's name, a method's or a queue's.
pub(crate) fn is_word(word: &str) -> bool {
    word.len() <= 60
        && word.starts_with(|c: char| c.is_ascii_lowercase())
        && word
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
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
    fn a_task_queue_is_named_by_its_api_and_what_follows() {
        for legal in ["auth", "my_company.auth", "my.auth:slow", "auth~sync"] {
            assert!(check_task_queue(legal).is_ok(), "{legal}");
        }
        for illegal in [
            "",
            "Auth",
            "auth:",
            "auth..x",
            "auth:a:b",
            "auth~a~b",
            "auth+high",
        ] {
            assert!(check_task_queue(illegal).is_err(), "{illegal}");
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
