//! What can go wrong, by name: each kind of fault, what it takes to be possible, and what it has in hand meanwhile. How
//! it is made is not known here.

use crate::system::{Kind, System};

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL, and started again.
    Kill(Kind),
    /// SIGSTOP, and SIGCONT.
    Pause(Kind),
    /// SIGTERM, and started again.
    Terminate(Kind),
    /// SIGTERM of every node of a role, one after the other, each when the one before is ready again.
    Roll(Kind),
    /// SIGKILL of every node of a role at once, or SIGSTOP, and whole again.
    KillEvery(Kind),
    PauseEvery(Kind),
    /// SIGKILL of the server that leads the log, or SIGSTOP, and whole again.
    KillLeader,
    PauseLeader,
    /// SIGKILL of a server that follows, or SIGSTOP, which cuts it off, and whole again.
    KillFollower,
    PauseFollower,
    /// SIGKILL of the primary, or it gives way.
    KillPrimary,
    StepDown,
    /// SIGKILL of two members of three, or SIGSTOP: those that are left decide nothing alone.
    KillQuorum(Kind),
    PauseQuorum(Kind),
    /// The other members, and sometimes its clients too, cannot reach a server of the log.
    CutOff,
    /// Nothing more fits on the disk.
    FullDisk(Kind),
    /// Whatever touches the disk waits.
    Stall(Kind),
    /// Every request takes its time, and now and then far longer.
    SlowDisk(Kind),
    /// The disk reports errors, and the file system takes no more writes.
    FailingDisk(Kind),
    /// What was not synced is gone.
    PowerLoss(Kind),
    /// The same of every server at once, and every role dies with them.
    Blackout,
    /// The clock of a role is set to another time, and back.
    ClockStep(Kind),
    /// The last file of the log has lost its end, or a bit of it has flipped, when its server starts.
    Truncate,
    FlipBit,
    /// The log is what it was a while ago, and says so, as whoever restores a backup does.
    Restore,
    /// Connections are reset.
    Cut(&'static str),
    /// Connections stand and carry nothing.
    HoldUp(&'static str),
    /// Connections carry nothing in one direction, and the other flows.
    OneWay(&'static str),
    /// Latency, and little bandwidth.
    Slow(&'static str),
    /// No connection can be made.
    Refuse(&'static str),
    /// Of every node of a service at once connections stand and carry nothing, or cannot be made.
    HoldUpEvery(&'static str),
    RefuseEvery(&'static str),
}

const KINDS: [Kind; 5] = [Kind::Nats, Kind::Mongod, Kind::Ingest, Kind::Delivery, Kind::Archiver];
const STORES: [Kind; 2] = [Kind::Nats, Kind::Mongod];
const ROLES: [Kind; 3] = [Kind::Ingest, Kind::Delivery, Kind::Archiver];
const LINKS: [&str; 8] = [
    "ingest to nats",
    "delivery to nats",
    "archiver to nats",
    "archiver to mongod",
    "client to ingest",
    "presenter to delivery",
    "ingest to rooms",
    "ingest to review",
];

impl Fault {
    /// As the history and the command line call it.
    pub(super) fn name(self) -> String {
        match self {
            Fault::Kill(kind) => format!("kill {}", kind.word()),
            Fault::Pause(kind) => format!("pause {}", kind.word()),
            Fault::Terminate(kind) => format!("terminate {}", kind.word()),
            Fault::Roll(kind) => format!("rolling restart of {}", kind.word()),
            Fault::KillEvery(kind) => format!("kill every {}", kind.word()),
            Fault::PauseEvery(kind) => format!("pause every {}", kind.word()),
            Fault::KillLeader => "kill leader of the log".to_owned(),
            Fault::PauseLeader => "pause leader of the log".to_owned(),
            Fault::KillFollower => "kill follower of the log".to_owned(),
            Fault::PauseFollower => "pause follower of the log".to_owned(),
            Fault::KillPrimary => "kill primary of mongod".to_owned(),
            Fault::StepDown => "step down primary of mongod".to_owned(),
            Fault::KillQuorum(kind) => format!("kill quorum of {}", kind.word()),
            Fault::PauseQuorum(kind) => format!("pause quorum of {}", kind.word()),
            Fault::CutOff => "cut off a server of the log".to_owned(),
            Fault::FullDisk(kind) => format!("full disk of {}", kind.word()),
            Fault::Stall(kind) => format!("stalled disk of {}", kind.word()),
            Fault::SlowDisk(kind) => format!("slow disk of {}", kind.word()),
            Fault::FailingDisk(kind) => format!("failing disk of {}", kind.word()),
            Fault::PowerLoss(kind) => format!("power loss of {}", kind.word()),
            Fault::Blackout => "power loss of everything".to_owned(),
            Fault::ClockStep(kind) => format!("clock step of {}", kind.word()),
            Fault::Truncate => "truncate the log".to_owned(),
            Fault::FlipBit => "flip a bit of the log".to_owned(),
            Fault::Restore => "restore the log".to_owned(),
            Fault::Cut(link) => format!("reset {link}"),
            Fault::HoldUp(link) => format!("half-open {link}"),
            Fault::OneWay(link) => format!("one-way {link}"),
            Fault::Slow(link) => format!("slow {link}"),
            Fault::Refuse(link) => format!("refuse {link}"),
            Fault::HoldUpEvery(link) => format!("half-open every {link}"),
            Fault::RefuseEvery(link) => format!("refuse every {link}"),
        }
    }

    /// What it has in hand: two hands on one process would undo each other's work.
    pub(super) fn target(self) -> &'static str {
        match self {
            Fault::Kill(kind) | Fault::Pause(kind) | Fault::Terminate(kind) | Fault::Roll(kind) => kind.word(),
            Fault::KillEvery(kind) | Fault::PauseEvery(kind) => kind.word(),
            Fault::KillQuorum(kind) | Fault::PauseQuorum(kind) => kind.word(),
            Fault::KillLeader | Fault::PauseLeader | Fault::KillFollower | Fault::PauseFollower => Kind::Nats.word(),
            Fault::KillPrimary | Fault::StepDown => Kind::Mongod.word(),
            Fault::CutOff | Fault::Truncate | Fault::FlipBit | Fault::Restore => Kind::Nats.word(),
            Fault::FullDisk(kind) | Fault::PowerLoss(kind) | Fault::ClockStep(kind) => kind.word(),
            Fault::Stall(kind) | Fault::SlowDisk(kind) | Fault::FailingDisk(kind) => kind.word(),
            Fault::Blackout => "everything",
            Fault::Cut(link) | Fault::HoldUp(link) | Fault::OneWay(link) => link,
            Fault::Slow(link) | Fault::Refuse(link) => link,
            Fault::HoldUpEvery(link) | Fault::RefuseEvery(link) => link,
        }
    }
}

/// What can be broken here whose name contains one of the words; all where there are none.
pub(super) fn deck(words: &[String], system: &System) -> Vec<Fault> {
    let is_cluster = system.monitoring.len() > 1;
    let has_disks = system.parts.iter().any(|part| part.disk.is_some());
    let has_clocks = system.parts.iter().any(|part| part.clock.is_some());
    let mut possible: Vec<Fault> =
        KINDS.into_iter().flat_map(|kind| [Fault::Kill(kind), Fault::Pause(kind), Fault::Terminate(kind)]).collect();
    possible.extend(ROLES.map(Fault::Roll));
    possible.extend(ROLES.into_iter().flat_map(|kind| [Fault::KillEvery(kind), Fault::PauseEvery(kind)]));
    if is_cluster {
        possible.extend([Fault::KillLeader, Fault::PauseLeader, Fault::KillFollower, Fault::PauseFollower]);
        possible.extend([Fault::KillPrimary, Fault::StepDown, Fault::CutOff]);
        possible.extend([Fault::Roll(Kind::Nats), Fault::Roll(Kind::Mongod)]);
        possible.extend(STORES.into_iter().flat_map(|kind| [Fault::KillQuorum(kind), Fault::PauseQuorum(kind)]));
    }
    if has_disks {
        possible.extend(STORES.into_iter().flat_map(|kind| [Fault::FullDisk(kind), Fault::PowerLoss(kind)]));
        possible.extend(STORES.into_iter().flat_map(|kind| [Fault::Stall(kind), Fault::SlowDisk(kind)]));
        possible.extend(STORES.map(Fault::FailingDisk));
        possible.push(Fault::Blackout);
    }
    if has_clocks {
        possible.extend(ROLES.map(Fault::ClockStep));
    }
    if system.damage {
        possible.extend([Fault::Truncate, Fault::FlipBit, Fault::Restore]);
    }
    // Nothing of ours is between the members of a set and who asks them, and not every run has a review hook.
    let is_there = |name: &&str| system.links.iter().any(|link| link.name == *name);
    for link in LINKS.into_iter().filter(is_there) {
        possible.extend([Fault::Cut(link), Fault::HoldUp(link), Fault::Slow(link), Fault::Refuse(link)]);
        possible.extend([Fault::OneWay(link), Fault::HoldUpEvery(link), Fault::RefuseEvery(link)]);
    }
    possible.retain(|fault| words.is_empty() || words.iter().any(|word| fault.name().contains(word)));
    possible
}
