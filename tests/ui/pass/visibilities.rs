//! What is generated is as visible as the trait.
#![deny(warnings, unreachable_pub)]

mod outer {
    pub(crate) mod inner {
        #[lightbus::api(name = "near")]
        pub(in crate::outer) trait NearApi {
            async fn near(&self, arg: String) -> bool;
            #[event]
            fn came_near(#[key] who: String);
        }

        #[lightbus::api(name = "parent")]
        pub(super) trait ParentApi {
            async fn parent(&self, arg: String) -> bool;
            #[event]
            fn came_up(#[key] who: String);
        }
    }

    #[lightbus::api(name = "everywhere")]
    pub(crate) trait EverywhereApi {
        async fn everywhere(&self, arg: String) -> bool;
        #[event]
        fn came_in(#[key] who: String);
    }

    pub(crate) fn uses(bus: &lightbus::Bus) {
        let _ = inner::NearApiClient::new(bus)
            .came_near()
            .only(inner::CameNear::who_is("ada"));
        let _ = inner::CameUp {
            who: "ada".to_string(),
        };
    }
}

#[lightbus::api(name = "here")]
trait HereApi {
    async fn here(&self, arg: String) -> bool;
    #[event]
    fn came_here(#[key] who: String);
}

pub fn uses(bus: &lightbus::Bus) {
    outer::uses(bus);
    let _ = outer::EverywhereApiClient::new(bus).everywhere("x");
    let _ = HereApiClient::new(bus).here("x");
    let _ = outer::CameIn {
        who: "ada".to_string(),
    };
}

fn main() {}
