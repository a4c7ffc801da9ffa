//! Attacks on the whole system, each at the bound that stops it. Measures the memory of the attacked role, the latency
//! of its health probes, and the posts of uninvolved users. All settings have their defaults. Each attack gets a fresh
//! system, so that none is measured with the memory that another one left.
//!
//! The attacker has its own threads and its own address, but shares the machine's cores with the system and its users.

mod attacker;
mod bystanders;
mod floods;
mod held;
mod sockets;
mod world;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use crate::attacks::attacker::{Attacker, Threads};
use crate::attacks::bystanders::{Posters, Probes, Times};
use crate::attacks::world::{Role, World};
use crate::process;

/// The pause after the attack, before the last reading of the memory.
const AFTERWARDS: Duration = Duration::from_secs(10);

/// The interval between readings of the memory.
const MEMORY_EVERY: Duration = Duration::from_millis(200);

/// The required bound: posts may take this many times as long under an attack as before it.
const BOUND: f64 = 5.0;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The attacks to run, one after the other. Default: all
    #[arg(value_enum)]
    attacks: Vec<Attack>,
    /// Seconds of each attack
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seconds of normal load before each attack
    #[arg(long, default_value_t = 15)]
    quiet: u64,
    /// Posts per second of uninvolved users
    #[arg(long, default_value_t = 50)]
    rate: u64,
    /// The attacker's address. The users and the health probes have 127.0.0.1
    #[arg(long, default_value = "127.0.1.1")]
    from: Ipv4Addr,
    /// The chatting-server to attack. Default: the one beside this program
    #[arg(long)]
    server: Option<PathBuf>,
}

/// An attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Attack {
    /// 10,005 connections to ingest pipeline requests for its OpenAPI document and read nothing
    UnreadIngest,
    /// 4,101 connections to delivery pipeline requests for presenter.js and read nothing
    UnreadDelivery,
    /// 1,005 connections to the archiver pipeline requests for its OpenAPI document and read nothing
    UnreadArchiver,
    /// 1,000 connections ask ingest for a list of bans of 256 KB and read 1 KB a second of it
    UnreadBans,
    /// 100 presenters ban users of their own rooms, with reasons of 7.5 KB, faster than their rate limit
    Decisions,
    /// 20 connections start sessions of one presenter in a loop
    SessionStarts,
    /// 4,150 connections post 60 of 65 KB, without a token
    BodiesWithoutToken,
    /// 4,150 connections post 60 of 65 KB, with the token of one user
    BodiesWithToken,
    /// 6,000 connections send 31 KB of a header
    Headers,
    /// 8 connections search 26,000 messages of 500 equal characters for a text that almost matches everywhere
    Search,
    /// 64 sockets without a token send empty parts of a message
    EmptyFrames,
    /// 10,500 sockets without a token
    Sockets,
    /// 4,000 sockets without a token, each with 31 KB of an unfinished frame
    UnfinishedFrames,
    /// 64 connections post well-formed messages of one user
    PostsOfOneUser,
    /// 64 connections post without a token
    PostsWithoutToken,
}

impl Attack {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn role(self) -> Role {
        match self {
            Attack::UnreadIngest
            | Attack::UnreadBans
            | Attack::Decisions
            | Attack::BodiesWithoutToken
            | Attack::BodiesWithToken
            | Attack::Headers
            | Attack::PostsOfOneUser
            | Attack::PostsWithoutToken => Role::Ingest,
            Attack::UnreadDelivery
            | Attack::SessionStarts
            | Attack::EmptyFrames
            | Attack::Sockets
            | Attack::UnfinishedFrames => Role::Delivery,
            Attack::UnreadArchiver | Attack::Search => Role::Archiver,
        }
    }

    /// Prepares the system.
    async fn prepare(self, world: &World) -> anyhow::Result<()> {
        match self {
            Attack::UnreadBans => floods::fill_bans(world).await,
            Attack::Search => floods::fill_archive(world).await,
            _ => Ok(()),
        }
    }

    /// Starts it. It ends by itself.
    fn begin(self, world: &World, attacker: &Attacker) {
        match self {
            Attack::UnreadIngest => held::unread(attacker, world.port(Role::Ingest), "/v1/openapi.json", 10_005),
            Attack::UnreadDelivery => held::unread(attacker, world.port(Role::Delivery), "/presenter.js", 4_101),
            Attack::UnreadArchiver => held::unread(attacker, world.port(Role::Archiver), "/v1/openapi.json", 1_005),
            Attack::UnreadBans => held::slow_bans(attacker, world),
            Attack::Decisions => floods::decisions(attacker, world),
            Attack::SessionStarts => sockets::session_starts(attacker, world),
            Attack::BodiesWithoutToken => held::bodies(attacker, world, None),
            Attack::BodiesWithToken => held::bodies(attacker, world, Some(&world::token(700))),
            Attack::Headers => held::headers(attacker, world),
            Attack::Search => floods::searches(attacker, world),
            Attack::EmptyFrames => sockets::empty_frames(attacker, world),
            Attack::Sockets => sockets::idle(attacker, world),
            Attack::UnfinishedFrames => sockets::unfinished_frames(attacker, world),
            Attack::PostsOfOneUser => floods::posts(attacker, world, Some(&world::token(700))),
            Attack::PostsWithoutToken => floods::posts(attacker, world, None),
        }
    }

    /// A remark beside the figures that all attacks have.
    async fn aftermath(self, world: &World) -> anyhow::Result<String> {
        Ok(match self {
            Attack::SessionStarts => format!("; {} documents in broadcasts", sockets::sessions(world).await?),
            _ => String::new(),
        })
    }
}

/// The memory of the attacked role, in bytes.
struct Memory {
    before: u64,
    peak: u64,
    after: u64,
}

#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let named = !arguments.attacks.is_empty();
    let attacks = if named { arguments.attacks.as_slice() } else { Attack::value_variants() };
    println!(
        "| attack | role, RSS MB before / peak / after | `/livez` main port, p50 / p99 / most ms | `/livez` admin port | \
         posts quiet, p50 / p99 ms | posts under attack | p99 ratio | posts: accepted, retried, refused, lost | \
         processor, % of a core: role / attacker / machine | the attacker |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for attack in attacks {
        eprintln!("{} {}: load {}", jiff::Timestamp::now(), attack.name(), load());
        println!("{}", measure(*attack, arguments).await?);
    }
    Ok(())
}

/// One row.
async fn measure(attack: Attack, arguments: &Arguments) -> anyhow::Result<String> {
    let world = World::start(arguments.server.clone()).await?;
    attack.prepare(&world).await?;
    let role = attack.role();
    let attack_at = Instant::now() + Duration::from_secs(arguments.quiet);
    let until = attack_at + Duration::from_secs(arguments.seconds);
    let posters = Posters::start(world.port(Role::Ingest), arguments.rate, attack_at, until);
    let main = Probes::start(world.port(role), attack_at, until);
    let admin = Probes::start(world.admin_port(role), attack_at, until);

    tokio::time::sleep_until(attack_at.into()).await;
    let before = world.memory(role)?;
    let threads = Threads::start()?;
    let attacker = Attacker::new(&threads, arguments.from, until);
    let busy = || anyhow::Ok([world.processor(role)?, threads.processor()?, process::machine()?]);
    let busy_before = busy()?;
    attack.begin(&world, &attacker);
    let mut memory = Memory { before, peak: before, after: before };
    while Instant::now() < until {
        tokio::time::sleep(MEMORY_EVERY).await;
        memory.peak = memory.peak.max(world.memory(role)?);
    }
    let busy_after = busy()?;
    drop(threads);

    let (main, admin, posts) = (main.finish().await?, admin.finish().await?, posters.finish().await?);
    tokio::time::sleep_until((until + AFTERWARDS).into()).await;
    memory.after = world.memory(role)?;
    let lost = world.missing(&posts.accepted).await?;
    let did = format!("{}{}", attacker.report(), attack.aftermath(&world).await?);
    let mb = |bytes: u64| bytes / 1_000_000;
    let ratio = posts.attack.p99() / posts.quiet.p99();
    let verdict = if ratio > BOUND { " (!)" } else { "" };
    Ok(format!(
        "| {} | {}, {} / {} / {} | {} | {} | {} | {} | {ratio:.1}{verdict} | {}, {}, {}, {lost} | {} | {did} |",
        attack.name(),
        role.name(),
        mb(memory.before),
        mb(memory.peak),
        mb(memory.after),
        probed(&main),
        probed(&admin),
        posted(&posts.quiet),
        posted(&posts.attack),
        posts.accepted.len(),
        posts.retried,
        posts.refused,
        shares(busy_before, busy_after, until - attack_at),
    ))
}

/// These seconds of CPU time as a share of one core.
fn shares(before: [f64; 3], after: [f64; 3], took: Duration) -> String {
    let shares = before.iter().zip(after).map(|(before, after)| (after - before) * 100.0 / took.as_secs_f64());
    shares.map(|share| format!("{share:.0}")).collect::<Vec<_>>().join(" / ")
}

fn probed(times: &Times) -> String {
    let unanswered = if times.failed == 0 { String::new() } else { format!(", {} unanswered", times.failed) };
    format!("{:.0} / {:.0} / {:.0}{unanswered}", times.p50(), times.p99(), times.most())
}

fn posted(times: &Times) -> String {
    format!("{:.0} / {:.0}", times.p50(), times.p99())
}

/// The machine's load average over one, five and fifteen minutes.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
