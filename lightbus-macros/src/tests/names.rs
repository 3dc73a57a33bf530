//! Names, and what may be one.

use quote::{format_ident, quote};

use crate::generate::source;
use crate::names::{camel_case, is_api_name, is_name, is_type_name};

#[test]
fn names_of_apis() {
    for right in ["auth", "a", "my_company.auth", "a1.b2.c3", &"a".repeat(60)] {
        assert!(is_api_name(right), "{right}");
    }
    for wrong in [
        "",
        "Auth",
        "1auth",
        "auth.",
        ".auth",
        "a..b",
        "a-b",
        "_auth",
        "a b",
        "ä",
        "auth.#",
        &"a".repeat(61),
    ] {
        assert!(!is_api_name(wrong), "{wrong}");
    }
}

#[test]
fn names_of_calls_and_events() {
    for right in ["check_password", "a", "a1_", &"a".repeat(60)] {
        assert!(is_name(right), "{right}");
    }
    for wrong in [
        "",
        "checkPassword",
        "1a",
        "_a",
        "a.b",
        "a-b",
        &"a".repeat(61),
    ] {
        assert!(!is_name(wrong), "{wrong}");
    }
}

#[test]
fn names_of_structs() {
    assert!(is_type_name("UserRegistered2"));
    for wrong in [
        "",
        "Self",
        "userRegistered",
        "User Registered",
        "User::Registered",
        "User-",
    ] {
        assert!(!is_type_name(wrong), "{wrong}");
    }
    for (function, name) in [
        ("user_registered", "UserRegistered"),
        ("a", "A"),
        ("a_1b__c_", "A1bC"),
        ("r#type", "Type"),
        ("leftEarly", "LeftEarly"),
    ] {
        let ident = match function.strip_prefix("r#") {
            Some(raw) => proc_macro2::Ident::new_raw(raw, proc_macro2::Span::call_site()),
            None => format_ident!("{function}"),
        };
        assert_eq!(camel_case(&ident), name);
    }
}

#[test]
fn types_are_printed_as_people_write_them() {
    assert_eq!(
        source(quote! { Result<bool, AuthError> }),
        "Result<bool, AuthError>"
    );
    assert_eq!(
        source(quote! { ::std::collections::HashMap<String, Vec<(u8, u8)>> }),
        "::std::collections::HashMap<String, Vec<(u8, u8)>>"
    );
    assert_eq!(source(quote! { &'static str }), "&'static str");
    assert_eq!(source(quote! { [u8; 4] }), "[u8; 4]");
    assert_eq!(
        source(quote! { Box<dyn Fn(u8) -> u8 + Send> }),
        "Box<dyn Fn(u8) -> u8 + Send>"
    );
    assert_eq!(
        source(quote! { dyn Iterator<Item = u8> }),
        "dyn Iterator<Item = u8>"
    );
}
