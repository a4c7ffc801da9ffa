//! How a batch is filled.

use super::*;

type Answer = oneshot::Receiver<Result<Position, AppendError>>;

const PATIENCE: Patience = Patience { while_open: Duration::from_secs(60), while_closed: Duration::from_secs(90) };

/// Turns without a log, and the sender of their queue.
fn turns() -> (mpsc::UnboundedSender<Slot>, Turns) {
    let (sender, queue) = mpsc::unbounded_channel();
    let (way, stop) = (watch::Sender::new(Way::Open(Moment::BOOT)), CancellationToken::new());
    (sender, Turns { context: Weak::new(), partition: 0, queue, held: None, way, patience: PATIENCE, stop })
}

/// An event of that size that has waited since then.
fn waiting(bytes: usize, since: Moment) -> (Slot, Answer) {
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let (outcome, answer) = oneshot::channel();
    let line = Bytes::from(vec![b'x'; bytes]);
    let waiting = Waiting {
        line,
        event: None,
        trace: None,
        since,
        deadline: since + PATIENCE.while_closed,
        end: None,
        outcome,
        _permit: permit,
    };
    (Arc::new(Mutex::new(Some(waiting))), answer)
}

/// Fills batches until the queue is empty. Returns the size of each event, batch by batch.
fn batches(turns: &mut Turns) -> Vec<Vec<usize>> {
    let mut batches = Vec::new();
    while let Some(first) = turns.held.take().or_else(|| turns.queue.try_recv().ok()) {
        batches.push(turns.fill(first).iter().map(|waiting| waiting.line.len()).collect());
    }
    batches
}

#[test]
fn a_batch_holds_what_fits_and_the_next_begins_with_what_did_not() {
    const FULL: usize = MAX_BATCH_BYTES;
    for (sizes, expected) in [
        (vec![10, 20, 30], vec![vec![10, 20, 30]]),
        // Each line ends with a line feed.
        (vec![FULL - 11, 9], vec![vec![FULL - 11, 9]]),
        (vec![FULL - 11, 10], vec![vec![FULL - 11], vec![10]]),
        (vec![FULL / 2, FULL / 2, 5], vec![vec![FULL / 2], vec![FULL / 2, 5]]),
        // The largest allowed event fits into a batch of its own.
        (vec![5, FULL, 5], vec![vec![5], vec![FULL], vec![5]]),
        (vec![1; MAX_BATCH_EVENTS + 1], vec![vec![1; MAX_BATCH_EVENTS], vec![1]]),
    ] {
        let (queue, mut turns) = turns();
        let _answers: Vec<Answer> = sizes
            .iter()
            .map(|bytes| {
                let (slot, answer) = waiting(*bytes, Moment::now());
                queue.send(slot).unwrap();
                answer
            })
            .collect();
        assert_eq!(batches(&mut turns), expected);
    }
}

#[test]
fn cancelled_and_overdue_appends_take_no_room_in_a_batch() {
    let (queue, mut turns) = turns();
    let long_ago = Moment::now().before(Duration::from_secs(61));
    turns.way.send_replace(Way::Open(Moment::BOOT));
    let (left, _) = waiting(MAX_BATCH_BYTES, Moment::now());
    left.lock().take();
    let (late, mut refused) = waiting(MAX_BATCH_BYTES, long_ago);
    // Together they fill a batch.
    let (small, _answer) = waiting(9, Moment::now());
    let (large, _answer) = waiting(MAX_BATCH_BYTES - 11, Moment::now());
    for slot in [left, late, small, large] {
        queue.send(slot).unwrap();
    }
    assert_eq!(batches(&mut turns), [vec![9, MAX_BATCH_BYTES - 11]]);
    assert_eq!(refused.try_recv(), Ok(Err(AppendError::Busy)));
}

#[test]
fn an_event_waits_its_time_from_when_it_came_or_the_way_opened_and_longer_while_it_is_closed() {
    let came = Moment::now();
    let (before, after) = (came.before(Duration::from_secs(7)), came + Duration::from_secs(7));
    assert_eq!(PATIENCE.limit(came, Way::Open(before)), came + PATIENCE.while_open);
    assert_eq!(PATIENCE.limit(came, Way::Open(after)), after + PATIENCE.while_open);
    assert_eq!(PATIENCE.limit(came, Way::Closed), came + PATIENCE.while_closed);
}
