//! The other end of the control socket: what `bellhop status` and its kin ask with.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::protocol::{Ask, LONGEST_LINE, Reply, Request, Said};

/// How long an agent may take to answer what it knows.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to a running agent.
pub struct Client {
    reader: BufReader<UnixStream>,
    path: PathBuf,
}

/// Why nothing came of asking an agent.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no agent at this socket.
    #[error("No agent answers at {}: {error}; is it running, and as which user?", path.display())]
    NoAgent {
        /// The socket.
        path: PathBuf,
        /// The system's word.
        error: std::io::Error,
    },
    /// The connection failed.
    #[error("Cannot talk to the agent at {}: {error}", path.display())]
    Lost {
        /// The socket.
        path: PathBuf,
        /// The system's word.
        error: std::io::Error,
    },
    /// The agent ended, or hung up.
    #[error("The agent at {} hung up", .0.display())]
    HungUp(PathBuf),
    /// It says something that this program does not understand.
    #[error("Cannot understand the agent, which may be of another version: {0}")]
    Strange(serde_json::Error),
    /// It refused.
    #[error("{0}")]
    Refused(String),
}

impl Client {
    /// Connects to the agent whose control socket is at `path`.
    ///
    /// # Errors
    /// When there is none, or it belongs to another user.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path)
            .map_err(|error| ClientError::NoAgent { path: path.to_owned(), error })?;
        Ok(Self { reader: BufReader::new(stream), path: path.to_owned() })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When none comes, or the agent refuses.
    pub fn ask(&mut self, ask: Ask) -> Result<Said, ClientError> {
        // Reading a configuration anew takes as long as it takes.
        let patience = if ask == Ask::Reload { None } else { Some(PATIENCE) };
        self.reader.get_ref().set_read_timeout(patience).map_err(|error| self.lost(error))?;
        let mut line = serde_json::to_vec(&Request::new(ask)).map_err(ClientError::Strange)?;
        line.push(b'\n');
        self.reader.get_mut().write_all(&line).map_err(|error| self.lost(error))?;
        let Some(line) = self.next_line()? else { return Err(ClientError::HungUp(self.path.clone())) };
        self.reader.get_ref().set_read_timeout(None).map_err(|error| self.lost(error))?;
        let reply: Reply = serde_json::from_slice(&line).map_err(ClientError::Strange)?;
        match reply.said {
            Said::Error(reason) => Err(ClientError::Refused(reason)),
            said => Ok(said),
        }
    }

    /// Waits for the next line, without its end; none when the agent has ended.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn next_line(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let mut line = Vec::new();
        let read = (&mut self.reader).take(LONGEST_LINE).read_until(b'\n', &mut line);
        match read {
            Ok(0) => Ok(None),
            Ok(_) => {
                line.pop_if(|last| *last == b'\n');
                Ok(Some(line))
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(self.lost(error)),
        }
    }

    fn lost(&self, error: std::io::Error) -> ClientError {
        ClientError::Lost { path: self.path.clone(), error }
    }
}
