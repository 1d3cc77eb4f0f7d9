//! `cutover watch`: a read-only page of a session, for people who are not on the bridge. Not in here: the page (`report::live`), and who
//! gets what of it (`watch`).

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::{Exit, Named, asked_to_end, follow, run};
use crate::text::printable;
use crate::watch::{self, Error, Terms};

/// A read-only page of a session.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover watch --http 127.0.0.1:8800
  cutover watch --http 127.0.0.1:8800 --viewer ada --viewer wall")]
pub struct WatchArgs {
    #[command(flatten)]
    named: Named,
    /// Where the page is offered: an address of this host, and a port
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    http: SocketAddr,
    /// Who may look: a link for each
    #[arg(long = "viewer", value_name = "NAME", default_value = "viewer")]
    viewers: Vec<String>,
    /// Offer it to other hosts, for a proxy with TLS stands before it
    #[arg(long)]
    behind_proxy: bool,
    /// For how many minutes the page stays after the session is over
    #[arg(long, value_name = "MINUTES", default_value_t = 15, value_parser = clap::value_parser!(u32).range(0..=1440))]
    stay: u32,
}

/// An address, or `localhost`, of which nobody has to be asked.
fn address(text: &str) -> Result<SocketAddr, String> {
    let here = text.strip_prefix("localhost:");
    let here = here.map(|port| format!("127.0.0.1:{port}"));
    let address = here.as_deref().unwrap_or(text).parse::<SocketAddr>();
    address.map_err(|_| {
        "it takes an IP address of this host and a port, such as 127.0.0.1:8800 or localhost:8800"
            .to_owned()
    })
}

/// `cutover watch`
pub async fn run(args: WatchArgs) -> anyhow::Result<Exit> {
    let folder = run::find(&args.named)?;
    let terms = Terms {
        at: args.http,
        behind_proxy: args.behind_proxy,
        viewers: args.viewers,
        stays: Duration::from_secs(u64::from(args.stay) * 60),
        taken_within: watch::TAKEN_WITHIN,
    };
    let (offered, links) = match watch::offer(&folder, terms).await {
        Ok(offered) => offered,
        Err(error @ (Error::Exposed(_) | Error::Viewers(_))) => {
            errln!("cutover: {error}");
            return Ok(Exit::Usage);
        }
        Err(error @ (Error::History(_) | Error::Listen { .. })) => return Err(error.into()),
    };
    // From the links on somebody may ask.
    let asked_to_end = asked_to_end();
    let name = printable(&folder.session(), 80);
    errln!(
        "a page of {name}, to look at and no more; whoever has a link can see it, so give each to one person; Ctrl-C ends it"
    );
    if args.behind_proxy {
        errln!(
            "people put the proxy's own address in the place of http://{}",
            offered.at
        );
    }
    for link in links {
        let name = printable(&link.name, 80);
        outln!("{name}  http://{}/{}", offered.at, link.token);
    }
    tokio::select! {
        over = offered.until_over() => over?,
        () = asked_to_end => return Ok(Exit::Done),
    }
    let session = crate::history::session(&folder)?;
    errln!("{name} is over, and the page is gone");
    Ok(follow::exit_of(&session).unwrap_or(Exit::Done))
}
