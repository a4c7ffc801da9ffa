//! The faults by name: what each requires, and what it holds. Other modules inject them.

use judge::history::{FLIP_A_BIT, FORGET_READERS};

use crate::system::{Kind, System};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL, then a restart.
    Kill(Kind),
    /// SIGSTOP, then SIGCONT.
    Pause(Kind),
    /// SIGTERM, then a restart.
    Terminate(Kind),
    /// A rolling restart of a role: SIGTERM of one node after the other, each when the previous one is ready.
    Roll(Kind),
    /// SIGKILL or SIGSTOP of every node of a role at once.
    KillEvery(Kind),
    PauseEvery(Kind),
    /// SIGKILL or SIGSTOP of the log's leader.
    KillLeader,
    PauseLeader,
    /// SIGKILL or SIGSTOP of a follower of the log.
    KillFollower,
    PauseFollower,
    /// SIGKILL or a step-down of the primary.
    KillPrimary,
    StepDown,
    /// SIGKILL or SIGSTOP of two of three members: the remaining one has no quorum.
    KillQuorum(Kind),
    PauseQuorum(Kind),
    /// A server of the log is partitioned from the other members, and sometimes from its clients.
    CutOff,
    /// The disk is full.
    FullDisk(Kind),
    /// Every access to the disk blocks.
    Stall(Kind),
    /// Every access to the disk is slow, and some are very slow.
    SlowDisk(Kind),
    /// The disk reports errors, and the file system takes no more writes.
    FailingDisk(Kind),
    /// Unsynced writes are lost.
    PowerLoss(Kind),
    /// Every server loses its unsynced writes at once, and every role is killed.
    Blackout,
    /// The clock of a role is set to another time, and back.
    ClockStep(Kind),
    /// The last file of the log is truncated, or has a flipped bit, when its server starts.
    Truncate,
    FlipBit,
    /// The log's server forgets how far the archivers have read.
    ForgetReaders,
    /// The log is restored from a backup, and `setup --new-epoch` declares it.
    Restore,
    /// Connections are reset.
    Cut(&'static str),
    /// Connections stay open and carry nothing.
    HoldUp(&'static str),
    /// Connections carry data in one direction only.
    OneWay(&'static str),
    /// High latency and low bandwidth.
    Slow(&'static str),
    /// Connections are refused.
    Refuse(&'static str),
    /// The connections of every node of a role stay open and carry nothing, or are refused.
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
    /// The name in histories and on the command line.
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
            Fault::FlipBit => FLIP_A_BIT.to_owned(),
            Fault::ForgetReaders => FORGET_READERS.to_owned(),
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

    /// What the fault holds. Two faults must not hold the same process.
    pub(super) fn target(self) -> &'static str {
        match self {
            Fault::Kill(kind) | Fault::Pause(kind) | Fault::Terminate(kind) | Fault::Roll(kind) => kind.word(),
            Fault::KillEvery(kind) | Fault::PauseEvery(kind) => kind.word(),
            Fault::KillQuorum(kind) | Fault::PauseQuorum(kind) => kind.word(),
            Fault::KillLeader | Fault::PauseLeader | Fault::KillFollower | Fault::PauseFollower => Kind::Nats.word(),
            Fault::KillPrimary | Fault::StepDown => Kind::Mongod.word(),
            Fault::CutOff | Fault::Truncate | Fault::FlipBit | Fault::ForgetReaders | Fault::Restore => {
                Kind::Nats.word()
            }
            Fault::FullDisk(kind) | Fault::PowerLoss(kind) | Fault::ClockStep(kind) => kind.word(),
            Fault::Stall(kind) | Fault::SlowDisk(kind) | Fault::FailingDisk(kind) => kind.word(),
            Fault::Blackout => "everything",
            Fault::Cut(link) | Fault::HoldUp(link) | Fault::OneWay(link) => link,
            Fault::Slow(link) | Fault::Refuse(link) => link,
            Fault::HoldUpEvery(link) | Fault::RefuseEvery(link) => link,
        }
    }
}

/// The faults that are possible in this system and whose name contains one of the words. No words: all.
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
        possible.extend([Fault::Truncate, Fault::FlipBit, Fault::ForgetReaders, Fault::Restore]);
    }
    // There is no proxy between members of a replica set and their clients, and not every run has a review hook.
    let is_there = |name: &&str| system.links.iter().any(|link| link.name == *name);
    for link in LINKS.into_iter().filter(is_there) {
        possible.extend([Fault::Cut(link), Fault::HoldUp(link), Fault::Slow(link), Fault::Refuse(link)]);
        possible.extend([Fault::OneWay(link), Fault::HoldUpEvery(link), Fault::RefuseEvery(link)]);
    }
    possible.retain(|fault| words.is_empty() || words.iter().any(|word| fault.name().contains(word)));
    possible
}
