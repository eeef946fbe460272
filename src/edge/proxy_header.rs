//! The PROXY protocol, versions 1 and 2, as a load balancer in front of us speaks it
//! (haproxy.org, "The PROXY protocol", sections 2.1 and 2.2).

use super::guarded::Guarded;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const V1_LONGEST: usize = 107;
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_HEAD: usize = 16;
/// More type-length-value extensions than anybody sends; a longer header is refused.
const V2_LONGEST: usize = 2048;

/// Who the balancer speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The client's address, as the balancer saw it.
    Client(IpAddr),
    /// The balancer itself (health checks): `LOCAL`, `UNKNOWN`, or a family without addresses.
    Balancer,
}

impl Source {
    pub(super) fn client(self) -> Option<IpAddr> {
        match self {
            Self::Client(ip) => Some(ip.to_canonical()),
            Self::Balancer => None,
        }
    }
}

/// Reads the header off the front of `stream`. It must be there: a trusted peer with `proxy_protocol` on that sends
/// none is misconfigured, and guessing would take the balancer for the client.
///
/// # Errors
/// When the header is missing or malformed, or the stream ends.
pub(super) async fn read(stream: &mut Guarded) -> io::Result<Source> {
    match *stream.look(1).await? {
        [b'P', ..] => read_v1(stream).await,
        [b'\r', ..] => read_v2(stream).await,
        _ => Err(malformed("the PROXY header is missing")),
    }
}

async fn read_v1(stream: &mut Guarded) -> io::Result<Source> {
    for wanted in 2..=V1_LONGEST {
        let seen = stream.look(wanted).await?;
        if seen.len() < wanted {
            break;
        }
        // What follows may have come in the same segment.
        if let Some(line) = seen.get(..wanted).and_then(|line| line.strip_suffix(b"\r\n")) {
            let source = parse_v1(line)?;
            stream.consume(wanted);
            return Ok(source);
        }
    }
    Err(malformed("the PROXY line does not end"))
}

async fn read_v2(stream: &mut Guarded) -> io::Result<Source> {
    let head = stream.look(V2_HEAD).await?;
    let Some(&[high, low]) = head.get(14..V2_HEAD) else { return Err(malformed("the PROXY header is cut short")) };
    let whole = V2_HEAD + usize::from(u16::from_be_bytes([high, low]));
    if whole > V2_LONGEST {
        return Err(malformed("the PROXY header is too long"));
    }
    let seen = stream.look(whole).await?;
    let source = parse_v2(seen.get(..whole).ok_or_else(|| malformed("the PROXY header is cut short"))?)?;
    stream.consume(whole);
    Ok(source)
}

fn parse_v1(line: &[u8]) -> io::Result<Source> {
    let text = std::str::from_utf8(line).map_err(|_| malformed("the PROXY line is not ASCII"))?;
    let words: Vec<&str> = text.split(' ').collect();
    match *words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(Source::Balancer),
        ["PROXY", family @ ("TCP4" | "TCP6"), source, _, from, to] => {
            let ip: IpAddr = source.parse().map_err(|_| malformed("the PROXY source is no address"))?;
            let ports = from.parse::<u16>().is_ok() && to.parse::<u16>().is_ok();
            if ip.is_ipv4() != (family == "TCP4") || !ports {
                return Err(malformed("the PROXY line contradicts itself"));
            }
            Ok(Source::Client(ip))
        }
        _ => Err(malformed("the PROXY line is malformed")),
    }
}

fn parse_v2(bytes: &[u8]) -> io::Result<Source> {
    let rest = bytes.strip_prefix(V2_SIGNATURE).ok_or_else(|| malformed("the PROXY signature is wrong"))?;
    let &[command, family, _, _, ref addresses @ ..] = rest else {
        return Err(malformed("the PROXY header is cut short"));
    };
    match (command, family >> 4) {
        (0x20, _) | (0x21, 0 | 3) => Ok(Source::Balancer),
        (0x21, 1) => {
            let octets: [u8; 4] = source_bytes(addresses, 12)?;
            Ok(Source::Client(Ipv4Addr::from(octets).into()))
        }
        (0x21, 2) => {
            let octets: [u8; 16] = source_bytes(addresses, 36)?;
            Ok(Source::Client(Ipv6Addr::from(octets).into()))
        }
        _ => Err(malformed("the PROXY command is unknown")),
    }
}

fn source_bytes<const N: usize>(addresses: &[u8], whole: usize) -> io::Result<[u8; N]> {
    let source = addresses.get(..whole).and_then(|block| block.first_chunk::<N>());
    source.copied().ok_or_else(|| malformed("the PROXY addresses are cut short"))
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_its_client() {
        assert_eq!(
            parse_v1(b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 80").unwrap(),
            Source::Client("192.0.2.1".parse().unwrap())
        );
        assert_eq!(
            parse_v1(b"PROXY TCP6 2001:db8::1 ::1 1000 80").unwrap(),
            Source::Client("2001:db8::1".parse().unwrap())
        );
        assert_eq!(parse_v1(b"PROXY UNKNOWN").unwrap(), Source::Balancer);
    }

    #[test]
    fn a_line_that_is_not_quite_one_is_refused() {
        for line in [
            "PROXY TCP4 192.0.2.1 192.0.2.2 1000",
            "PROXY TCP4 ::1 ::1 1 2",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1000 80 x",
            "PROXY TCP4 192.0.2.01x 192.0.2.2 1 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 99999 2",
            "proxy TCP4 192.0.2.1 192.0.2.2 1 2",
            "",
        ] {
            assert!(parse_v1(line.as_bytes()).is_err(), "{line}");
        }
    }

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [V2_SIGNATURE, &[command, family], &length, addresses].concat()
    }

    #[test]
    fn the_binary_header_names_its_client() {
        let four = v2(0x21, 0x11, &[192, 0, 2, 1, 192, 0, 2, 2, 3, 232, 0, 80]);
        assert_eq!(parse_v2(&four).unwrap(), Source::Client("192.0.2.1".parse().unwrap()));
        let mut addresses = [0_u8; 36];
        addresses[..16].copy_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!(parse_v2(&v2(0x21, 0x21, &addresses)).unwrap(), Source::Client("2001:db8::1".parse().unwrap()));
        assert_eq!(parse_v2(&v2(0x20, 0x00, &[])).unwrap(), Source::Balancer);
    }

    #[test]
    fn a_binary_header_that_is_cut_short_or_unknown_is_refused() {
        assert!(parse_v2(&v2(0x21, 0x11, &[192, 0, 2, 1])).is_err());
        assert!(parse_v2(&v2(0x31, 0x11, &[0; 12])).is_err());
        assert!(parse_v2(&v2(0x21, 0x51, &[0; 12])).is_err());
        assert!(parse_v2(b"\r\n\r\n\0\r\nQUIX\n\x21\x11\0\0").is_err());
    }
}
