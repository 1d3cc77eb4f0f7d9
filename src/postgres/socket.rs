//! The socket under a connection to PostgreSQL: TCP with the endpoint's keepalives, or a Unix socket. Not in here: what is said on it.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::endpoint::{Endpoint, Host, Place};

/// Bytes both ways.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Endpoint {
    /// Opens one.
    pub(super) async fn socket(&self, host: &Host, address: Option<IpAddr>) -> io::Result<Socket> {
        match (&host.place, address) {
            (Place::Socket(folder), _) => {
                let path = folder.join(format!(".s.PGSQL.{}", host.port));
                Ok(Socket::Unix(UnixStream::connect(path).await?))
            }
            (Place::Tcp { .. }, Some(address)) => {
                let stream = TcpStream::connect((address, host.port)).await?;
                self.set_up(&stream)?;
                Ok(Socket::Tcp(stream))
            }
            (Place::Tcp { name, .. }, None) => {
                let stream = TcpStream::connect((name.as_str(), host.port)).await?;
                self.set_up(&stream)?;
                Ok(Socket::Tcp(stream))
            }
        }
    }

    fn set_up(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(stream);
        // Only Linux has it; elsewhere it is passed over, as by libpq.
        #[cfg(target_os = "linux")]
        if let Some(limit) = self.tcp_user_timeout {
            socket.set_tcp_user_timeout(Some(limit))?;
        }
        if self.keepalives.on {
            let keepalive = TcpKeepalive::new()
                .with_time(self.keepalives.idle)
                .with_interval(self.keepalives.interval)
                .with_retries(self.keepalives.retries);
            socket.set_tcp_keepalive(&keepalive)?;
        }
        Ok(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Socket::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Socket::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Socket::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
