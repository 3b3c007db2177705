use std::net::Ipv6Addr;

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Target {
    text.parse().unwrap()
}

fn refused(text: &str) -> TargetError {
    text.parse::<Target>().unwrap_err()
}

#[test]
fn the_documented_forms_parse_and_show_as_they_were_written() {
    for text in [
        "collector.local:4317",
        "_otlp.my_host:1",
        "host.example.:65535",
        "127.0.0.1:4317",
        "[::1]:4317",
        "[fe80::1%2]:80",
        "unix:/run/x.sock",
        "unix:run/x:1.sock",
        "unix:4317",
    ] {
        assert_eq!(parsed(text).to_string(), text);
    }
    assert_eq!(
        parsed("[::1]:80").as_addr(),
        Some((Ipv6Addr::LOCALHOST, 80).into())
    );
    assert_eq!(parsed("unix:///run/x"), Target::unix("/run/x").unwrap());
    assert_eq!(parsed("unix:4317"), Target::host("unix", 4317).unwrap());
}

#[test]
fn names_differing_in_case_only_share_one_limit() {
    assert_eq!(parsed("A.Example:1"), parsed("a.example:1"));
}

#[test]
fn a_trailing_dot_reaches_the_resolver_but_not_the_certificate_check() {
    let target = parsed("a.example.:1");
    assert_eq!(target.host_name(), Some("a.example"));
    assert_eq!(target.to_string(), "a.example.:1");
}

#[test]
fn an_address_given_as_a_name_is_an_address() {
    assert_eq!(Target::host("::1", 80).unwrap(), parsed("[::1]:80"));
    assert_eq!(Target::try_from(("10.0.0.1", 80)).unwrap(), parsed("10.0.0.1:80"));
}

#[test]
fn bad_ports_are_named() {
    let host = || "h".to_owned();
    assert_eq!(refused("h"), TargetError::MissingPort { host: host() });
    assert_eq!(refused("h:"), TargetError::MissingPort { host: host() });
    assert_eq!(refused("h:0"), TargetError::PortZero { host: host() });
    assert_eq!(
        refused("[::1]"),
        TargetError::MissingPort {
            host: "[::1]".to_owned()
        }
    );
    assert_eq!(
        refused("[::1]:0"),
        TargetError::PortZero {
            host: "[::1]".to_owned()
        }
    );
    for port in ["x", "+80", "-1", "65536", "80/v1", " 80", "８０"] {
        assert_eq!(
            refused(&format!("h:{port}")),
            TargetError::BadPort {
                port: port.to_owned()
            }
        );
        assert_eq!(
            refused(&format!("[::1]:{port}")),
            TargetError::BadPort {
                port: port.to_owned()
            }
        );
    }
    assert!(matches!(Target::host("h", 0), Err(TargetError::PortZero { .. })));
}

#[test]
fn port_zero_hidden_in_a_socket_address_is_found_by_check() {
    let target = Target::from(SocketAddr::from(([127, 0, 0, 1], 0)));
    assert!(matches!(target.check(), Err(TargetError::PortZero { .. })));
    assert_eq!(parsed("127.0.0.1:1").check(), Ok(()));
}

#[test]
fn bad_hosts_are_named() {
    assert_eq!(refused(""), TargetError::Empty);
    assert_eq!(refused(":80"), TargetError::EmptyHost);
    assert_eq!(refused(".:80"), TargetError::EmptyHost);
    assert_eq!(
        refused("https://h:80/x"),
        TargetError::UrlScheme {
            scheme: "https".to_owned()
        }
    );
    for text in ["::1:4317", "fe80::1", "a:b:1"] {
        assert_eq!(
            refused(text),
            TargetError::UnbracketedIpv6 {
                text: text.to_owned()
            }
        );
    }
    for text in [
        "[::1",
        "[]:80",
        "[127.0.0.1]:80",
        "[::1]80",
        "[host]:80",
        "[fe80::1%eth0]:80",
    ] {
        assert!(matches!(refused(text), TargetError::BadIpv6 { .. }), "{text}");
    }
    for host in ["127.1", "256.0.0.1", "0x7f000001", "1.2.3.4.", "host.0xA", "80"] {
        let text = format!("{host}:80");
        assert_eq!(
            refused(&text),
            TargetError::BadIpv4 {
                host: host.to_owned()
            },
            "{text}"
        );
    }
    let long_label = "l".repeat(64);
    for host in [
        "a..b",
        ".a",
        "a b",
        "a@b",
        "-a",
        "a-.b",
        "bücher.example",
        "a*",
        &long_label,
    ] {
        assert!(
            matches!(refused(&format!("{host}:80")), TargetError::BadLabel { .. }),
            "{host}"
        );
    }
}

#[test]
fn the_longest_name_passes_and_one_more_byte_does_not() {
    let longest = ["l".repeat(63), "l".repeat(63), "l".repeat(63), "l".repeat(61)].join(".");
    assert_eq!(longest.len(), 253);
    assert!(Target::host(&longest, 1).is_ok());
    assert!(Target::host(&format!("{longest}."), 1).is_ok());
    let longer = format!("{longest}l");
    assert_eq!(
        Target::host(&longer, 1),
        Err(TargetError::HostTooLong { len: 254 })
    );
}

#[test]
fn bad_unix_paths_are_named() {
    assert_eq!(refused("unix:"), TargetError::EmptyUnixPath);
    assert!(matches!(refused("unix:/a\0b"), TargetError::BadUnixPath { .. }));
    assert!(matches!(
        refused("unix://host/x"),
        TargetError::BadUnixPath { .. }
    ));
    let longest = format!(
        "/{}",
        "p".repeat(if cfg!(target_os = "linux") { 106 } else { 102 })
    );
    assert!(Target::unix(&longest).is_ok());
    let error = Target::unix(format!("{longest}p")).unwrap_err();
    assert!(matches!(error, TargetError::UnixPathTooLong { .. }));
}

#[test]
fn a_unix_path_of_digits_does_not_come_back_as_a_host() {
    let target = Target::unix("4317").unwrap();
    assert_eq!(parsed(&target.to_string()), target);
    let target = Target::unix("//run//x").unwrap();
    assert_eq!(parsed(&target.to_string()), target);
}

#[cfg(feature = "serde")]
#[test]
fn in_a_file_it_is_one_string() {
    use serde::de::value::{Error, StrDeserializer};
    use serde::de::{Deserialize, IntoDeserializer};

    let read = |text: &'static str| {
        let text: StrDeserializer<'_, Error> = text.into_deserializer();
        Target::deserialize(text)
    };
    assert_eq!(read("h:80").unwrap(), parsed("h:80"));
    assert!(read("h").unwrap_err().to_string().contains("has no port"));
}

fn any_target() -> impl Strategy<Value = Target> {
    let label = "[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,6}[a-zA-Z0-9_])?";
    let name = proptest::string::string_regex(&format!("({label}\\.){{0,3}}[a-zA-Z_]{{1,5}}\\.?")).unwrap();
    prop_oneof![
        (name, 1_u16..).prop_map(|(name, port)| Target::host(&name, port).unwrap()),
        (any::<IpAddr>(), 1_u16..).prop_map(Target::from),
        "[/.a-z0-9: ]{1,20}".prop_map(|path| Target::unix(path).unwrap()),
        "[0-9]{1,20}".prop_map(|path| Target::unix(path).unwrap()),
    ]
}

proptest! {
    #[test]
    fn what_is_shown_reads_back_as_the_same(target in any_target()) {
        prop_assert_eq!(target.to_string().parse::<Target>(), Ok(target));
    }

    #[test]
    fn no_text_panics_and_what_is_accepted_reads_back(text in "\\PC*") {
        if let Ok(target) = text.parse::<Target>() {
            prop_assert_eq!(target.to_string().parse::<Target>(), Ok(target));
        }
    }

    #[test]
    fn no_text_near_the_grammar_panics(text in "(unix:|http://|\\[|)[a-z0-9:.%/\\[\\]_-]{0,20}") {
        if let Ok(target) = text.parse::<Target>() {
            prop_assert_eq!(target.to_string().parse::<Target>(), Ok(target));
        }
    }

    #[test]
    fn no_name_and_port_panic(name in any::<String>(), port in any::<u16>()) {
        let _ = Target::host(&name, port);
        let _ = Target::unix(&name);
    }
}

#[test]
fn the_host_of_a_uri_may_keep_its_brackets() {
    let target = Target::host("[::1]", 80).unwrap();
    assert_eq!(target.as_addr(), Some((Ipv6Addr::LOCALHOST, 80).into()));
    assert!(Target::host("[localhost]", 80).is_err());
}
