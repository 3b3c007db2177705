//! The rules of a target as text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use super::{Target, TargetError};

/// What a Unix path is written after.
pub(super) const UNIX_PREFIX: &str = "unix:";

/// RFC 1035 section 2.3.4: 255 bytes on the wire are 253 of text without the trailing dot.
const MAX_HOST: usize = 253;
/// RFC 1035 section 2.3.4.
const MAX_LABEL: usize = 63;
/// `sun_path` without its closing NUL.
const MAX_UNIX_PATH: usize = if cfg!(any(target_os = "linux", target_os = "android")) {
    107
} else {
    103
};

pub(super) fn target(text: &str) -> Result<Target, TargetError> {
    if text.is_empty() {
        return Err(TargetError::Empty);
    }
    if let Some(path) = text.strip_prefix(UNIX_PREFIX) {
        // A host may be called "unix": only a number after the colon is its port.
        if !is_number(path) {
            return unix_text(path);
        }
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(TargetError::UrlScheme {
            scheme: scheme.to_owned(),
        });
    }
    if text.starts_with('[') {
        return bracketed(text);
    }
    let Some((name, port_text)) = text.rsplit_once(':') else {
        return Err(TargetError::MissingPort {
            host: text.to_owned(),
        });
    };
    if name.contains(':') {
        return Err(TargetError::UnbracketedIpv6 {
            text: text.to_owned(),
        });
    }
    if name.is_empty() {
        return Err(TargetError::EmptyHost);
    }
    host(name, port(name, port_text)?)
}

pub(super) fn host(name: &str, port: u16) -> Result<Target, TargetError> {
    if port == 0 {
        return Err(TargetError::PortZero {
            host: name.to_owned(),
        });
    }
    // A URI's host keeps the brackets of an IPv6 address.
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(Ok(ip)) = bare.map(str::parse::<Ipv6Addr>) {
        return Ok(Target::Addr(SocketAddr::new(ip.into(), port)));
    }
    if let Ok(ip) = name.parse::<IpAddr>() {
        return Ok(Target::Addr(SocketAddr::new(ip, port)));
    }
    check_name(name)?;
    Ok(Target::Host {
        name: name.to_ascii_lowercase().into(),
        port,
    })
}

pub(super) fn unix(path: &Path) -> Result<Target, TargetError> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.is_empty() {
        return Err(TargetError::EmptyUnixPath);
    }
    if bytes.contains(&0) {
        return Err(TargetError::BadUnixPath {
            rule: "contains a NUL",
        });
    }
    // Two spellings would be read back as something else: "unix:4317" as a host and a port, and
    // "unix://x" as a URL. "./4317" and "/x" are the same places.
    let path: Arc<Path> = if bytes.iter().all(u8::is_ascii_digit) {
        Path::new(".").join(path).into()
    } else if bytes.starts_with(b"//") {
        path.components().collect::<std::path::PathBuf>().into()
    } else {
        path.into()
    };
    let len = path.as_os_str().len();
    if len > MAX_UNIX_PATH {
        return Err(TargetError::UnixPathTooLong {
            len,
            max: MAX_UNIX_PATH,
        });
    }
    Ok(Target::Unix(path))
}

/// The part after `unix:`, which gRPC users also write as a URL with an empty authority.
fn unix_text(path: &str) -> Result<Target, TargetError> {
    match path.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => unix(Path::new(absolute)),
        Some(_) => Err(TargetError::BadUnixPath {
            rule: "starts with '//'; write unix:/path or unix:///path",
        }),
        None => unix(Path::new(path)),
    }
}

/// `[v6]:port`; the zone of a link-local address is a number (`[fe80::1%2]:80`).
fn bracketed(text: &str) -> Result<Target, TargetError> {
    let Some(end) = text.find(']') else {
        return Err(TargetError::BadIpv6 {
            host: text.to_owned(),
        });
    };
    let (host, rest) = text.split_at(end + 1);
    let bad = || TargetError::BadIpv6 {
        host: host.to_owned(),
    };
    let port = match rest.strip_prefix(':') {
        Some(port_text) => port(host, port_text)?,
        None if rest.is_empty() => {
            return Err(TargetError::MissingPort {
                host: host.to_owned(),
            });
        }
        None => return Err(bad()),
    };
    // Read whole, since only the socket address of std reads zones.
    let addr = format!("{host}:{port}");
    addr.parse().map(Target::Addr).map_err(|_| bad())
}

fn port(host: &str, text: &str) -> Result<u16, TargetError> {
    if text.is_empty() {
        return Err(TargetError::MissingPort {
            host: host.to_owned(),
        });
    }
    // The parser of std would also take "+80".
    let number = is_number(text).then(|| text.parse::<u16>().ok()).flatten();
    match number {
        Some(0) => Err(TargetError::PortZero {
            host: host.to_owned(),
        }),
        Some(port) => Ok(port),
        None => Err(TargetError::BadPort {
            port: text.to_owned(),
        }),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_name(host: &str) -> Result<(), TargetError> {
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.is_empty() {
        return Err(TargetError::EmptyHost);
    }
    if name.len() > MAX_HOST {
        return Err(TargetError::HostTooLong { len: name.len() });
    }
    for label in name.split('.') {
        if let Some(rule) = broken_rule(label) {
            return Err(TargetError::BadLabel {
                host: host.to_owned(),
                rule,
            });
        }
    }
    // The system's resolver reads such names as inet_aton does, and "0177.1" would reach 127.0.0.1.
    let last = name.rsplit('.').next().unwrap_or(name);
    if is_number(last) || is_hex(last) || name.parse::<Ipv4Addr>().is_ok() {
        return Err(TargetError::BadIpv4 {
            host: host.to_owned(),
        });
    }
    Ok(())
}

fn is_hex(label: &str) -> bool {
    let digits = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn broken_rule(label: &str) -> Option<&'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if label.is_empty() {
        Some("a label is empty")
    } else if !label.is_ascii() {
        Some("write an international name in its ASCII form (xn--…)")
    } else if !label.bytes().all(allowed) {
        Some("only letters, digits, hyphens and underscores are allowed")
    } else if label.len() > MAX_LABEL {
        Some("a label is longer than 63 bytes")
    } else if label.starts_with('-') || label.ends_with('-') {
        Some("a label starts or ends with a hyphen")
    } else {
        None
    }
}
