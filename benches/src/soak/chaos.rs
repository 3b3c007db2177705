//! What is done to the servers and to the membership.

use std::time::Duration;

use evenkeel::balancer::BackendRef;
use evenkeel::{Backend, Client, Endpoint};
use evenkeel_testkit::{Host, Mood};
use fastrand::Rng;
use tokio::time::{Instant, sleep};

use super::MEMBERS;
use crate::Error;

/// So many may be in trouble at a time, whoever is out of use by our own doing among them.
const TROUBLED: usize = 2;

/// A server, and when its trouble is over, if it has any.
struct Member {
    host: Host,
    until: Option<Instant>,
    disabled: bool,
}

/// The servers, and the handles of those that were taken out while requests may have been in flight there.
pub(super) struct Chaos {
    random: Rng,
    members: Vec<Member>,
    removed: Vec<BackendRef<Endpoint>>,
}

impl Chaos {
    pub(super) fn new(seed: u64) -> Result<Self, Error> {
        let members = (0..MEMBERS).map(|_| member()).collect::<Result<_, _>>()?;
        Ok(Self {
            random: Rng::with_seed(seed),
            members,
            removed: Vec::new(),
        })
    }

    pub(super) fn backends(&self) -> Vec<Backend> {
        self.members.iter().map(Member::backend).collect()
    }

    /// One thing more, and some time for it to show.
    pub(super) async fn step(&mut self, client: &Client) -> Result<(), Error> {
        self.heal(client)?;
        if self.members.iter().any(|member| member.host.has_crashed()) {
            return Err(Error::Contender("a server could not go on".to_owned()));
        }
        self.removed.retain(|backend| backend.in_flight() > 0);
        let victim = self.random.usize(..self.members.len());
        let well = self
            .members
            .get(victim)
            .is_some_and(|member| member.until.is_none());
        let troubled = self
            .members
            .iter()
            .filter(|member| member.until.is_some())
            .count();
        if well && troubled < TROUBLED {
            match self.random.u8(..10) {
                0..6 => self.spoil(victim),
                6 => self.disable(victim, client)?,
                7 => self.replace(victim, client)?,
                8 => self.drain(victim, client).await?,
                _ => {
                    let weight = self.random.u32(1..4);
                    let id = self.id(victim);
                    let weighed = client.balancer().set_weight(&id, weight);
                    weighed.map_err(|error| Error::contender("set_weight", error))?;
                }
            }
        }
        sleep(Duration::from_millis(self.random.u64(50..400))).await;
        Ok(())
    }

    /// After the last request: removed ones that still have any in flight.
    pub(super) async fn settle(&mut self, patience: Duration) -> Option<String> {
        let until = Instant::now() + patience;
        loop {
            self.removed.retain(|backend| backend.in_flight() > 0);
            if self.removed.is_empty() {
                return None;
            }
            if Instant::now() >= until {
                let sum: u32 = self.removed.iter().map(BackendRef::in_flight).sum();
                return Some(format!("{sum} requests are in flight at removed members"));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends the troubles whose time is over.
    fn heal(&mut self, client: &Client) -> Result<(), Error> {
        let now = Instant::now();
        for member in &mut self.members {
            if member.until.is_none_or(|until| until > now) {
                continue;
            }
            member.until = None;
            member.host.set(Mood::Well);
            if std::mem::take(&mut member.disabled) {
                let enabled = client.balancer().enable(&member.backend().name());
                enabled.map_err(|error| Error::contender("enable", error))?;
            }
        }
        Ok(())
    }

    /// It gets slow, hangs, fails or dies, for a time.
    fn spoil(&mut self, victim: usize) {
        let mood = match self.random.u8(..4) {
            0 => Mood::Slow(Duration::from_millis(self.random.u64(50..400))),
            1 => Mood::Hanging,
            2 => Mood::Failing,
            _ => Mood::Down,
        };
        let until = self.later();
        if let Some(member) = self.members.get_mut(victim) {
            member.host.set(mood);
            member.until = Some(until);
        }
    }

    fn disable(&mut self, victim: usize, client: &Client) -> Result<(), Error> {
        let disabled = client.balancer().disable(&self.id(victim));
        disabled.map_err(|error| Error::contender("disable", error))?;
        let until = self.later();
        if let Some(member) = self.members.get_mut(victim) {
            member.disabled = true;
            member.until = Some(until);
        }
        Ok(())
    }

    /// Another takes its place, and it dies with what it has.
    fn replace(&mut self, victim: usize, client: &Client) -> Result<(), Error> {
        let next = member()?;
        let added = client.add(&next.backend());
        added.map_err(|error| Error::contender("add", error))?;
        let removed = client.balancer().remove(&self.id(victim));
        self.removed
            .push(removed.map_err(|error| Error::contender("remove", error))?);
        // The one before is dropped here.
        self.put(victim, next);
        Ok(())
    }

    /// Another takes its place, and it finishes what it has.
    async fn drain(&mut self, victim: usize, client: &Client) -> Result<(), Error> {
        let next = member()?;
        let added = client.add(&next.backend());
        added.map_err(|error| Error::contender("add", error))?;
        let drain = client
            .balancer()
            .drain(&self.id(victim), Duration::from_millis(700));
        let drain = drain.map_err(|error| Error::contender("drain", error))?;
        self.removed.push(drain.backend().clone());
        drain.finish().await;
        self.put(victim, next);
        Ok(())
    }

    fn put(&mut self, place: usize, member: Member) {
        if let Some(slot) = self.members.get_mut(place) {
            *slot = member;
        }
    }

    fn id(&self, index: usize) -> String {
        let member = self.members.get(index);
        member.map(|member| member.backend().name()).unwrap_or_default()
    }

    fn later(&mut self) -> Instant {
        Instant::now() + Duration::from_millis(self.random.u64(200..3_000))
    }
}

fn member() -> Result<Member, Error> {
    let host = Host::start().map_err(Error::io("cannot start a server"))?;
    Ok(Member {
        host,
        until: None,
        disabled: false,
    })
}

impl Member {
    fn backend(&self) -> Backend {
        Backend::new(self.host.addr().into())
    }
}
