//! A deadline for each test. A test that hangs is named, and ends the run.

use std::sync::mpsc;
use std::time::Duration;

/// Several times what the longest test takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20 * 60);

/// Ends the run, unless it is dropped within the deadline.
#[derive(Debug)]
pub(super) struct Deadline(#[expect(dead_code, reason = "its end is what is heard of")] mpsc::Sender<()>);

impl Deadline {
    pub(super) fn start() -> Deadline {
        Deadline::of(DEADLINE, |test| {
            eprintln!("{test} did not end within {DEADLINE:?}: it hangs, and the run ends with it");
            std::process::exit(101);
        })
    }

    fn of(deadline: Duration, late: impl FnOnce(&str) + Send + 'static) -> Deadline {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let (alive, ended) = mpsc::channel();
        std::thread::spawn(move || {
            if ended.recv_timeout(deadline) == Err(mpsc::RecvTimeoutError::Timeout) {
                late(&test);
            }
        });
        Deadline(alive)
    }
}

#[test]
fn a_test_that_hangs_is_named_and_one_that_ends_is_not() {
    let (sender, late) = mpsc::channel();
    let named = |sender: &mpsc::Sender<String>| {
        let sender = sender.clone();
        // Whoever asks may be gone.
        move |test: &str| drop(sender.send(test.to_owned()))
    };
    drop(Deadline::of(Duration::from_millis(50), named(&sender)));
    let _hangs = Deadline::of(Duration::from_millis(100), named(&sender));
    let name = late.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(name.ends_with("a_test_that_hangs_is_named_and_one_that_ends_is_not"), "{name}");
    drop(sender);
    assert!(late.recv_timeout(Duration::from_secs(20)).is_err(), "one that ended was called late");
}
