//! Direct reply-to: answers that go straight to the channel that asked, through no queue.

use super::{
    Core,
    channel::Partial,
    errors::{Outcome, not_found, precondition_failed},
    event::CancelReason,
    ids::At,
    message::Message,
    properties::{Field, Index, short_wire},
};
use crate::frames;
use amq_protocol::protocol::{AMQPClass, basic, queue};
use std::sync::Arc;

/// The queue that stands for "straight to me".
pub(super) const PSEUDO_QUEUE: &str = "amq.rabbitmq.reply-to";

/// A client that does not read its replies loses them beyond this, since there is no queue to keep them.
const MOST_UNSENT: usize = 64 << 20;

/// A channel that takes direct replies.
#[derive(Clone, Debug)]
pub(crate) struct ReplyConsumer {
    pub(crate) tag: Arc<str>,
    /// The address its requests carry.
    pub(crate) address: Arc<str>,
}

impl Core {
    /// `basic.consume` of the pseudo queue.
    pub(super) fn consume_replies(
        &mut self,
        at: At,
        consume: &basic::Consume,
        tag: &Arc<str>,
    ) -> Outcome {
        if !consume.no_ack {
            return Err(precondition_failed("reply consumer cannot acknowledge"));
        }
        // In the form of RabbitMQ's, which is where and who in Base64: clients show and split it.
        let place = self.fresh_name("amq.rabbitmq.reply-to.");
        let address = self.fresh_name(&format!("{place}."));
        let address: Arc<str> = format!("{address}==").into();
        let Some(channel) = self.channel_mut(at) else {
            return Ok(());
        };
        if channel.replies.is_some() {
            return Err(precondition_failed("reply consumer already set"));
        }
        let replies = ReplyConsumer {
            tag: tag.clone(),
            address: address.clone(),
        };
        channel.replies = Some(replies.clone());
        self.reply_addresses.insert(address, at);
        self.note_replies(at, &replies, None);
        if !consume.nowait {
            let ok = basic::ConsumeOk {
                consumer_tag: tag.as_ref().into(),
            };
            self.send(at, AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok)));
        }
        Ok(())
    }

    /// The channel takes no more direct replies; `tag` limits that to one consumer. Says whether there was one.
    pub(super) fn end_replies(&mut self, at: At, tag: Option<&str>) -> bool {
        let Some(channel) = self.channel_mut(at) else {
            return false;
        };
        let meant = |replies: &mut ReplyConsumer| tag.is_none_or(|tag| &*replies.tag == tag);
        let Some(replies) = channel.replies.take_if(meant) else {
            return false;
        };
        self.reply_addresses.remove(&replies.address);
        let why = match tag {
            Some(_) => CancelReason::Client,
            None => CancelReason::ChannelClosed,
        };
        self.note_replies(at, &replies, Some(why));
        true
    }

    /// Puts the channel's address in the place of the pseudo queue's name in `reply-to`.
    pub(super) fn address_reply(&mut self, at: At, partial: &mut Partial) -> Outcome {
        let reply_to = partial.index.short(&partial.properties, Field::ReplyTo);
        if reply_to != Some(PSEUDO_QUEUE.as_bytes()) {
            return Ok(());
        }
        let replies = self
            .channel_mut(at)
            .and_then(|channel| channel.replies.as_ref());
        let Some(replies) = replies else {
            return Err(precondition_failed("fast reply consumer does not exist"));
        };
        let wire = short_wire(replies.address.as_bytes());
        partial.properties = partial
            .index
            .splice(&partial.properties, &[(Field::ReplyTo, Some(wire))]);
        partial.index = Index::scan(&partial.properties).unwrap_or_default();
        Ok(())
    }

    /// Delivers a message whose key is a channel's address; `false` if there is no such channel in the virtual host.
    pub(super) fn deliver_reply(&mut self, vhost: &str, message: &Arc<Message>) -> bool {
        if !message.exchange.is_empty() {
            return false;
        }
        let replied = self.try_reply(vhost, message);
        if let Some((at, consumer)) = &replied {
            self.note_reply(*at, consumer, message);
        }
        replied.is_some()
    }

    fn try_reply(&mut self, vhost: &str, message: &Message) -> Option<(At, Arc<str>)> {
        let at = *self.reply_addresses.get(&message.routing_key)?;
        let connection = self.conns.get_mut(&at.conn)?;
        if *connection.vhost != *vhost || connection.unsent() > MOST_UNSENT {
            return None;
        }
        let channel = connection.channels.get_mut(&at.channel)?;
        let (consumer, tag) = (channel.replies.as_ref()?.tag.clone(), channel.tag());
        super::list(&mut self.output, at.conn, connection);
        let (out, key) = (&mut connection.out, &message.routing_key);
        frames::deliver(out, at.channel, &consumer, tag, false, "", key);
        connection.write_content(at.channel, &message.properties, message);
        Some((at, consumer))
    }

    /// `queue.declare` of the pseudo queue or of an address: whether somebody is there.
    pub(super) fn declare_reply_queue(&mut self, at: At, declare: &queue::Declare) -> Outcome {
        let name = declare.queue.as_str();
        if name != PSEUDO_QUEUE && !self.reply_addresses.contains_key(name) {
            let vhost = self.vhost_of(at.conn);
            return Err(not_found(format!(
                "no {}",
                super::queue::subject(name, &vhost)
            )));
        }
        // As good as any other for an empty name to mean, though no queue.
        if let Some(channel) = self.channel_mut(at) {
            channel.last_queue = Some(name.into());
        }
        if !declare.nowait {
            let ok = queue::DeclareOk {
                queue: declare.queue.clone(),
                message_count: 0,
                consumer_count: 1,
            };
            self.send(at, AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)));
        }
        Ok(())
    }
}
