//! What just happened in a conversation, told to whoever in this process is watching.
//!
//! A hint, not a record: it carries no text and may be missed. Whoever hears it reads the message
//! from the database, and whoever missed some ([`RecvError::Lagged`]) reads them all.
//!
//! [`RecvError::Lagged`]: broadcast::error::RecvError::Lagged

use tokio::sync::broadcast;

/// How many events a slow listener may fall behind before it misses some.
const CAPACITY: usize = 1024;

/// Something happened to one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whose conversation it is; a listener must look at no other's.
    pub tenant_id: String,
    /// Which conversation.
    pub conversation_id: String,
    /// Which message.
    pub message_id: String,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A message came in.
    Received,
    /// A reply was written and handed to its channel.
    Sent,
}

/// The exchange of one process. Clones share it.
#[derive(Debug, Clone)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }
}

impl Events {
    /// Tells everyone who listens; that may be nobody.
    pub fn publish(&self, event: Event) {
        // The only error is that nobody listens.
        let _ = self.0.send(event);
    }

    /// Listens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::broadcast::error::TryRecvError;

    fn event(n: usize) -> Event {
        Event {
            tenant_id: "t".into(),
            conversation_id: "c".into(),
            message_id: n.to_string(),
            kind: EventKind::Sent,
        }
    }

    #[test]
    fn reaches_every_listener_from_when_it_began_to_listen() {
        let events = Events::default();
        events.publish(event(1));
        let (mut a, mut b) = (events.subscribe(), events.clone().subscribe());
        events.publish(event(2));
        assert_eq!(a.try_recv(), Ok(event(2)));
        assert_eq!(b.try_recv(), Ok(event(2)));
        assert_eq!(a.try_recv(), Err(TryRecvError::Empty));
    }

    #[test]
    fn a_slow_listener_learns_that_it_missed_some() {
        let events = Events::default();
        let mut slow = events.subscribe();
        for n in 0..=CAPACITY {
            events.publish(event(n));
        }
        assert_eq!(slow.try_recv(), Err(TryRecvError::Lagged(1)));
        assert_eq!(slow.try_recv(), Ok(event(1)));
    }
}
