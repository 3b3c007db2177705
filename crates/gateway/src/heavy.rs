//! Work that keeps a processor busy for long, and may take far more memory than what came.

use bytes::Bytes;
use evenkeel_otlp::{Compression, Export, ExportError};
use tokio::task::spawn_blocking;

use crate::admission::{Full, Ticket};

/// Up to so many bytes, work is done at once: it takes less than a millisecond, and handing it to another thread
/// and back would double that.
pub(crate) const AT_ONCE: usize = 64 << 10;

/// By how much more room is made where what comes out did not fit: what was done in vain is a seventh of all.
pub(crate) const GROWTH: usize = 8;

/// Runs `work` over so many bytes, beside the runtime's threads if they are many: one large request must not
/// hold up all others. A few at a time are under way so; what waits its turn holds what its ticket says.
///
/// # Cancel safety
/// Dropped while it waits, the work is not begun. Begun, it is done and its result thrown away; until then it
/// holds all that the ticket held.
pub(crate) async fn run<T: Send + 'static>(
    ticket: &mut Ticket,
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if bytes <= AT_ONCE {
        return work();
    }
    let turn = ticket.turn().await;
    let held = ticket.take();
    #[expect(
        clippy::disallowed_methods,
        reason = "pure computation, as many at a time as there are turns"
    )]
    let done = spawn_blocking(move || {
        let done = work();
        drop(turn);
        (done, held)
    });
    match done.await {
        Ok((done, held)) => {
            *ticket = held;
            done
        }
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this future with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Why a request is not decompressed.
#[derive(Debug)]
pub(crate) enum Undecoded {
    /// There is no room for what comes out, now.
    Full(Full),
    /// It can not be.
    Bad(ExportError),
}

/// The bytes of a request, decompressed, up to `limit`. There is room for them in the ticket before they are
/// there, beside what it holds: a little at first, and more as it turns out that it is needed, so that what is
/// usual does not keep others out. Only what came out stays held.
///
/// # Cancel safety
/// As [`run`].
pub(crate) async fn decoded(export: &Export, limit: usize, ticket: &mut Ticket) -> Result<Bytes, Undecoded> {
    if export.compression() == Compression::None {
        return export.decoded(limit).map_err(Undecoded::Bad);
    }
    let before = ticket.held();
    let mut room = AT_ONCE.min(limit);
    loop {
        let given = ticket.hold_up_to(before.saturating_add(room)) - before;
        let compressed = export.clone();
        // By what comes out: a few bytes may become many.
        let bytes = export.body().len().max(given);
        let decoded = run(ticket, bytes, move || compressed.decoded(given)).await;
        ticket.shrink(before + decoded.as_ref().map_or(0, Bytes::len));
        match decoded {
            Ok(decoded) => return Ok(decoded),
            Err(ExportError::TooLarge { .. }) if given < room => return Err(Undecoded::Full(ticket.full())),
            Err(ExportError::TooLarge { .. }) if room < limit => {
                room = room.saturating_mul(GROWTH).min(limit);
            }
            Err(error) => return Err(Undecoded::Bad(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use evenkeel_otlp::{Encoding, Signal};
    use futures::FutureExt;

    use super::*;
    use crate::admission::Admission;

    const MIB: usize = 1 << 20;

    fn gzip(bytes: &[u8]) -> Export {
        let body = Bytes::copy_from_slice(bytes);
        let plain = Export::new(Signal::Traces, Encoding::Protobuf, Compression::None, body);
        plain.compressed(Compression::Gzip).unwrap()
    }

    fn admission(bytes: usize) -> Arc<Admission> {
        Arc::new(Admission::new(10, bytes, Arc::default()))
    }

    #[tokio::test]
    async fn what_fits_is_decoded_and_only_that_stays_held() {
        let admission = admission(10 * MIB);
        for length in [0, 1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * MIB, 4 * MIB] {
            let mut ticket = admission.enter().unwrap();
            ticket.hold(100).unwrap();
            let bytes = decoded(&gzip(&vec![7; length]), 4 * MIB, &mut ticket).await;
            assert_eq!(bytes.unwrap(), vec![7; length]);
            assert_eq!(admission.bytes(), 100 + length);
        }
        assert_eq!((admission.requests(), admission.bytes()), (0, 0));
    }

    #[tokio::test]
    async fn nothing_is_unpacked_that_there_is_no_room_for() {
        let admission = admission(4 * MIB);
        let mut others = admission.enter().unwrap();
        others.hold(3 * MIB).unwrap();
        let bomb = gzip(&vec![0; 4 * MIB]);
        // Who reads to its end learns that it is cut short.
        let short = bomb.body().slice(..bomb.body().len() - 5);
        let short = Export::new(Signal::Traces, Encoding::Protobuf, Compression::Gzip, short);
        let mut ticket = admission.enter().unwrap();
        let refused = decoded(&short, 4 * MIB, &mut ticket).await.unwrap_err();
        assert!(matches!(refused, Undecoded::Full(Full::Bytes)), "{refused:?}");
        drop((ticket, others));
        let mut ticket = admission.enter().unwrap();
        let refused = decoded(&short, 4 * MIB, &mut ticket).await.unwrap_err();
        assert!(
            matches!(refused, Undecoded::Bad(ExportError::Corrupt { .. })),
            "{refused:?}"
        );
        let refused = decoded(&bomb, 4 * MIB - 1, &mut ticket).await.unwrap_err();
        assert!(
            matches!(refused, Undecoded::Bad(ExportError::TooLarge { .. })),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn a_few_kilobytes_that_become_many_are_not_unpacked_on_the_runtime() {
        let admission = admission(100 * MIB);
        let mut ticket = admission.enter().unwrap();
        let bomb = gzip(&vec![0; 4 * MIB]);
        assert!(bomb.body().len() < AT_ONCE);
        let turns = admission.all_turns();
        assert!(
            decoded(&bomb, 64 * MIB, &mut ticket).now_or_never().is_none(),
            "it waits its turn"
        );
        drop(turns);
        let mut ticket = admission.enter().unwrap();
        assert_eq!(
            decoded(&bomb, 64 * MIB, &mut ticket).await.unwrap().len(),
            4 * MIB
        );
        let turns = admission.all_turns();
        let small = gzip(&[0; 1000]);
        let mut ticket = admission.enter().unwrap();
        let bytes = decoded(&small, 64 * MIB, &mut ticket).now_or_never();
        assert_eq!(bytes.unwrap().unwrap().len(), 1000, "what is small does not");
        drop(turns);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_holds_its_place_until_it_ends() {
        let admission = admission(MIB);
        let mut ticket = admission.enter().unwrap();
        ticket.hold(1000).unwrap();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (end, ended) = mpsc::channel::<()>();
        let asked = tokio::spawn(async move {
            run(&mut ticket, MIB, move || {
                begun.send(()).unwrap();
                let _ = ended.recv();
            })
            .await;
        });
        has_begun.await.unwrap();
        asked.abort();
        assert!(asked.await.unwrap_err().is_cancelled());
        assert_eq!((admission.requests(), admission.bytes()), (1, 1000));
        drop(end);
        while admission.requests() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(admission.bytes(), 0);
    }
}
