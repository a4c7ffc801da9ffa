//! The queues in the order of the log, and what ends a hold.

use chat::{Hold, MessageDeleted, MessageDenied, MessagePosted, MessageReleased, Role, RoomCleared, User, UserBanned};

use super::*;

fn room(idx: i64) -> PresenterIdx {
    PresenterIdx::try_from(idx).unwrap()
}

fn user(idx: i64) -> User {
    User { idx: UserIdx::try_from(idx).unwrap(), nickname: String::new(), role: Role::Viewer }
}

fn at(sequence: u64) -> Position {
    Position { epoch: 1, sequence, index: 0 }
}

fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// The queues of rooms, replayed so far at second 0.
struct Queues(Holds);

impl Queues {
    fn new() -> Queues {
        Queues(Holds::default())
    }

    /// Holds a message of the user in room 42 until second 60.
    fn hold(&self, sequence: u64, by: i64) -> EventId {
        let target = EventId::new();
        self.hold_again(sequence, by, target);
        target
    }

    fn hold_again(&self, sequence: u64, by: i64, target: EventId) {
        let posted = MessagePosted::new(user(by), "held");
        let held = MessageHeld { target, until: seconds(60), posted };
        self.apply(sequence, EventId::of_hold(target), Body::MessageHeld(Box::new(held)));
    }

    fn apply(&self, sequence: u64, id: EventId, body: Body) {
        let event = Event { id, at: seconds(0), ..Event::now(room(42), body) };
        self.0.apply(room(42), at(sequence), &event, seconds(0));
    }

    fn release(&self, sequence: u64, target: EventId) {
        let posted = MessagePosted::new(user(7), "held");
        let held = Hold { at: seconds(0), position: at(1), by: user(3), reason: None };
        self.apply(sequence, target, Body::MessageReleased(Box::new(MessageReleased { posted, held })));
    }

    fn deny(&self, sequence: u64, target: EventId) {
        let denied = MessageDenied { target, user: user(7).idx, by: user(3), reason: None };
        self.apply(sequence, target, Body::MessageDenied(denied));
    }

    fn queue(&self) -> Vec<EventId> {
        self.0.queue(room(42), None, 10, seconds(0)).iter().map(|waiting| waiting.held.target).collect()
    }
}

#[test]
fn a_queue_has_its_rooms_messages_in_order_until_their_time_is_over() {
    let queues = Queues::new();
    let (first, second) = (queues.hold(1, 7), queues.hold(2, 8));
    assert_eq!(queues.queue(), [first, second]);
    let after: Vec<Position> =
        queues.0.queue(room(42), Some(at(1)), 10, seconds(0)).iter().map(|waiting| waiting.position).collect();
    assert_eq!(after, [at(2)]);
    assert!(queues.0.queue(room(43), None, 10, seconds(0)).is_empty());
    assert!(queues.0.is_full(room(42), 2, seconds(0)) && !queues.0.is_full(room(43), 2, seconds(0)));
    assert!(queues.0.find(room(42), first, seconds(59)).is_some());
    assert!(queues.0.find(room(43), first, seconds(59)).is_none());
    assert!(queues.0.find(room(42), first, seconds(60)).is_none() && !queues.0.is_full(room(42), 2, seconds(60)));
    queues.0.tidy(seconds(60));
    assert!(queues.0.positions().is_empty());
}

#[test]
fn of_two_decisions_the_first_counts() {
    let queues = Queues::new();
    let (released, denied) = (queues.hold(1, 7), queues.hold(2, 7));
    queues.release(3, released);
    queues.deny(4, released);
    queues.release(5, released);
    queues.deny(6, denied);
    queues.release(7, denied);
    assert_eq!(queues.0.outcome(room(42), released), Some(Outcome::Released(at(3))));
    assert_eq!(queues.0.outcome(room(42), denied), Some(Outcome::Denied(at(6))));
    assert_eq!(queues.0.outcome(room(43), denied), None);
    queues.hold_again(8, 7, denied);
    assert!(queues.queue().is_empty(), "a later copy holds nothing again");
}

#[test]
fn whatever_deletes_a_message_ends_its_hold() {
    let ban = |user: i64, purge_seconds| {
        Body::UserBanned(UserBanned {
            user: self::user(user).idx,
            until: None,
            purge_seconds,
            by: self::user(3),
            reason: None,
        })
    };
    let ends = |body: &dyn Fn(EventId) -> Body| {
        let queues = Queues::new();
        let target = queues.hold(1, 7);
        queues.apply(2, EventId::new(), body(target));
        queues.queue().is_empty()
    };
    assert!(ends(&|target| Body::MessageDeleted(MessageDeleted { target, by: user(3), reason: None })));
    assert!(!ends(&|_| Body::MessageDeleted(MessageDeleted { target: EventId::new(), by: user(3), reason: None })));
    assert!(ends(&|_| Body::RoomCleared(RoomCleared { by: user(3), reason: None })));
    assert!(ends(&|_| ban(7, Some(60))));
    assert!(!ends(&|_| ban(8, Some(60))) && !ends(&|_| ban(7, None)));
    let queues = Queues::new();
    let (hers, his) = (queues.hold(1, 7), queues.hold(2, 8));
    queues.0.erase(user(7).idx, |of| of == room(43));
    assert_eq!(queues.queue(), [hers, his]);
    queues.0.erase(user(7).idx, |of| of == room(42));
    assert_eq!(queues.queue(), [his]);
}

#[test]
fn a_message_that_another_node_let_through_waits_no_longer() {
    let queues = Queues::new();
    let target = queues.hold(1, 7);
    queues.0.posted(room(42), EventId::new(), at(2));
    assert_eq!(queues.queue(), [target]);
    queues.0.posted(room(42), target, at(3));
    assert_eq!((queues.queue(), queues.0.outcome(room(42), target)), (vec![], Some(Outcome::Released(at(3)))));
}
