//! An API of events alone has nothing to serve.
#![deny(warnings)]

#[lightbus::api(name = "weather")]
pub trait WeatherApi {
    #[event]
    fn rain_began(#[key] town: String);
}

pub struct WeatherApiServer;

pub async fn uses(bus: &lightbus::Bus) {
    let _ = WeatherApiEvents::new(bus)
        .rain_began()
        .publish(RainBegan {
            town: "Bergen".to_string(),
        })
        .await;
    let _ = WeatherApiClient::new(bus).events();
    let _ = WeatherApiServer;
}

fn main() {}
