//! What is known to differ between versions of RabbitMQ, and why. RabbitMQ 4 is the model.

use super::world::Step;

/// The broker that ours is compared with.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) url: String,
    /// From its server properties.
    pub(crate) version: String,
}

impl Reference {
    /// The transcript of an older version as the model would have it.
    pub(crate) fn adjust(&self, steps: Vec<Step>) -> Vec<Step> {
        steps
    }
}
