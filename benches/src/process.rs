//! What the operating system knows about this process.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeVal;

use crate::Error;

/// CPU time this process has used so far, in its own code and in the kernel on its behalf.
///
/// # Errors
/// When the system does not say.
pub fn cpu_time() -> Result<Duration, Error> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).map_err(|e| Error::io("cannot read CPU time")(e.into()))?;
    Ok(duration(usage.user_time()) + duration(usage.system_time()))
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

/// Memory in RAM that belongs to this process alone, in bytes: its heap and stacks, not its program text.
///
/// The kernel walks the pages for this figure. The cheaper ones are kept per CPU and are wrong by some
/// hundred kilobytes, which is as much as a thousand connections may cost.
///
/// # Errors
/// When the system does not say.
pub fn own_memory() -> Result<u64, Error> {
    field("/proc/self/smaps_rollup", "Anonymous:")
}

/// The most memory this process ever had in RAM, in bytes.
///
/// # Errors
/// When the system does not say.
pub fn peak_memory() -> Result<u64, Error> {
    field("/proc/self/status", "VmHWM:")
}

/// Bytes of the IP packets sent so far by everybody in this network namespace, headers and handshakes
/// included. Over loopback it is what both ends sent.
///
/// # Errors
/// When the system does not say.
pub fn sent_octets() -> Result<u64, Error> {
    const FILE: &str = "/proc/self/net/netstat";
    let text = fs::read_to_string(FILE).map_err(Error::io(FILE))?;
    // A line of names, and below it one of values.
    let mut lines = text.lines().filter(|line| line.starts_with("IpExt:"));
    let value = lines.next().zip(lines.next()).and_then(|(names, values)| {
        let mut columns = names.split_whitespace().zip(values.split_whitespace());
        columns.find(|(name, _)| *name == "OutOctets")?.1.parse().ok()
    });
    value.ok_or_else(|| Error::Contender(format!("{FILE} has no OutOctets this can read")))
}

/// Reads a line like `VmHWM:   1234 kB`, as bytes.
fn field(file: &'static str, name: &str) -> Result<u64, Error> {
    let text = fs::read_to_string(file).map_err(Error::io(file))?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix("kB"));
    let kilobytes: Option<u64> = value.and_then(|v| v.trim().parse().ok());
    kilobytes
        .map(|k| k * 1024)
        .ok_or_else(|| Error::Contender(format!("{file} has no {name} this can read")))
}

/// How many file descriptors this process has open.
///
/// # Errors
/// When the system does not say.
pub fn descriptors() -> Result<usize, Error> {
    let entries = fs::read_dir("/proc/self/fd").map_err(Error::io("cannot list open descriptors"))?;
    // One of the entries is the listing itself.
    Ok(entries.count().saturating_sub(1))
}

/// Raises the limit on open descriptors as far as this process may, and says what it is then.
///
/// # Errors
/// When the system does not say what the limit is. A limit that cannot be raised stays as it was.
pub fn raise_descriptor_limit() -> Result<u64, Error> {
    let failed = |e: nix::Error| Error::io("cannot read the limit on descriptors")(e.into());
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(failed)?;
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return Ok(hard);
    }
    Ok(soft)
}

/// Where the program of this name is: on the path, or where servers are that the path of a user leaves out.
pub fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/local/sbin".into(), "/usr/sbin".into()]);
    folders
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_what_we_ask() {
        let before = cpu_time().unwrap();
        let held: Vec<u64> = std::hint::black_box((0..2_000_000).collect());
        assert!(own_memory().unwrap() >= 16_000_000);
        assert!(peak_memory().unwrap() >= 16_000_000);
        drop(held);
        assert!(cpu_time().unwrap() > before);
    }

    #[test]
    fn what_goes_over_loopback_is_counted() {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let before = sent_octets().unwrap();
        let mut heard = vec![0; 1 << 16];
        near.write_all(&vec![1; heard.len()]).unwrap();
        far.read_exact(&mut heard).unwrap();
        // Others may be sending too: there is no upper bound.
        assert!(sent_octets().unwrap() - before >= 1 << 16);
    }

    #[test]
    fn a_program_is_found_and_one_that_is_not_there_is_not() {
        assert!(installed("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(installed("no-such-program"), None);
    }

    #[test]
    fn an_open_file_is_counted() {
        // Other tests of this process open and close files as well: only a wide margin is certain.
        let files: Vec<_> = (0..200).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        assert!(descriptors().unwrap() >= files.len());
        assert!(raise_descriptor_limit().unwrap() >= 200);
    }
}
