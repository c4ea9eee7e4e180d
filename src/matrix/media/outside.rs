//! Where the homeserver sends us for a file: another server, which gets no token, and none inside our own network.
//!
//! A name is looked up once and the connection goes to what was found, so that it cannot mean something else the second time.

use std::{
    error::Error,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use reqwest::{
    Response,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use tokio::net::lookup_host;
use url::{Host, Url};

use super::DownloadError;
use crate::matrix::MatrixError;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// A client for addresses that others choose.
pub(super) struct Outside {
    http: reqwest::Client,
    guard: Arc<Guard>,
}

impl Outside {
    /// A client that stays outside the local network, unless this homeserver is itself in it.
    pub(super) fn new(homeserver: &Url) -> Result<Self, MatrixError> {
        let guard = Arc::new(Guard {
            homeserver: homeserver.host().map(|host| host.to_owned()),
        });
        let http = reqwest::Client::builder()
            .user_agent(concat!("drawbridge/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .redirect(Policy::none())
            // A proxy would look the names up itself.
            .no_proxy()
            .dns_resolver(guard.clone())
            .build()
            .map_err(|error| MatrixError::Request(error.to_string()))?;
        Ok(Self { http, guard })
    }

    /// Asks for what is at an address.
    pub(super) async fn get(&self, url: Url) -> Result<Response, DownloadError> {
        let refused = |reason: &str| {
            DownloadError::Refused(format!("the homeserver keeps it elsewhere, {reason}"))
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused("at an address that is not http or https"));
        }
        // What is no name is not looked up, so the guard does not see it.
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return Err(refused("at an address without a host")),
        };
        if let Some(address) = address
            && !self.guard.lets_through(address).await
        {
            return Err(refused("inside the local network"));
        }
        self.http.get(url).send().await.map_err(|error| {
            if is_forbidden(&error) {
                refused("inside the local network")
            } else {
                MatrixError::from(error).into()
            }
        })
    }
}

/// Lets through what is outside the local network.
struct Guard {
    homeserver: Option<Host<String>>,
}

/// Whether an address is one that machines give themselves, where clouds keep their machines' secrets.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            let mapped = address.to_ipv4_mapped();
            address.is_unicast_link_local() || mapped.is_some_and(|v4| v4.is_link_local())
        }
    }
}

/// What a name that leads inside the local network fails with.
#[derive(Debug, thiserror::Error)]
#[error("the name leads inside the local network")]
struct Forbidden;

impl Guard {
    async fn lets_through(&self, address: IpAddr) -> bool {
        is_public(address) || !is_link_local(address) && self.homeserver_is_inside().await
    }

    async fn homeserver_is_inside(&self) -> bool {
        match &self.homeserver {
            Some(Host::Ipv4(address)) => !is_public(IpAddr::V4(*address)),
            Some(Host::Ipv6(address)) => !is_public(IpAddr::V6(*address)),
            Some(Host::Domain(name)) => match lookup_host((name.as_str(), 0)).await {
                Ok(mut found) => found.any(|address| !is_public(address.ip())),
                Err(_) => false,
            },
            None => false,
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Self {
            homeserver: self.homeserver.clone(),
        };
        Box::pin(async move {
            let mut allowed: Vec<SocketAddr> = Vec::new();
            for address in lookup_host((name.as_str(), 0)).await? {
                if guard.lets_through(address.ip()).await {
                    allowed.push(address);
                }
            }
            if allowed.is_empty() {
                return Err(Forbidden.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether a request failed because of the guard.
fn is_forbidden(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        let wrapped = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if cause.is::<Forbidden>()
            || wrapped.is_some_and(<dyn Error + Send + Sync>::is::<Forbidden>)
        {
            return true;
        }
        source = cause.source();
    }
    false
}

/// Whether an address is one of the internet at large (RFC 6890 lists those that are not).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmarks = a == 198 && matches!(b, 18 | 19);
    let protocols = (a, b, c) == (192, 0, 0);
    !(a == 0
        || a >= 224
        || shared
        || benchmarks
        || protocols
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let [.., high, low] = parts;
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        // What stands for an IPv4 address: mapped, compatible (loopback and unspecified among them), NAT64, 6to4.
        [0, 0, 0, 0, 0, 0xffff | 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        // Global unicast; unique local, link-local and multicast addresses lie outside it.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_networks_of_ones_own_are_not_public() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "fe80::1",
            "fc00::1",
            "fd12:3456::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "193.0.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[tokio::test]
    async fn only_a_homeserver_inside_leads_inside() {
        let inside: IpAddr = [127, 0, 0, 1].into();
        for (homeserver, expected) in [
            ("http://127.0.0.1:8008", true),
            ("http://localhost:8008", true),
            ("http://[::1]:8008", true),
            ("http://192.168.0.2", true),
            ("https://1.1.1.1", false),
            ("https://nowhere.invalid", false),
        ] {
            let url = Url::parse(homeserver).unwrap();
            let guard = Guard {
                homeserver: url.host().map(|host| host.to_owned()),
            };
            assert_eq!(guard.lets_through(inside).await, expected, "{homeserver}");
            assert!(guard.lets_through([1, 1, 1, 1].into()).await);
        }
    }
}
