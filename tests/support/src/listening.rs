//! Server programs with a reserved port and a directory for their state.

use std::fs;
use std::net::{SocketAddr, SocketAddrV4};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

use super::process::RunningProgram;
use super::store::Directory;

/// A loopback address whose port the system gives to no other program.
///
/// The socket is bound and does not listen. So connections are refused, and the system does not choose the port for
/// another socket that binds to port 0. A program that is started with this port can listen on it, because servers set
/// `SO_REUSEADDR`, as this socket does.
pub struct ReservedAddress {
    socket: TcpSocket,
}

impl ReservedAddress {
    #[expect(clippy::new_without_default, reason = "it reserves a port")]
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { socket }
    }

    pub fn get(&self) -> SocketAddrV4 {
        match self.socket.local_addr().unwrap() {
            SocketAddr::V4(address) => address,
            SocketAddr::V6(address) => panic!("{address} is not IPv4"),
        }
    }
}

/// Whether the process with this id listens on the address, and not another process. Linux only: it reads `/proc`.
pub fn is_listening(process: u32, address: SocketAddrV4) -> bool {
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap_or_default();
    let ip = u32::from_ne_bytes(address.ip().octets());
    let local = format!("{ip:08X}:{:04X}", address.port());
    // Columns: number, local address, remote address, state, …; the tenth is the inode of the socket.
    let sockets: Vec<_> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|columns| columns.len() > 9 && columns[1] == local && columns[3] == LISTEN)
        .map(|columns| format!("socket:[{}]", columns[9]))
        .collect();
    let open = fs::read_dir(format!("/proc/{process}/fd"));
    let mut open = open.into_iter().flatten().flatten();
    open.any(|file| {
        let target = fs::read_link(file.path()).unwrap_or_default();
        sockets.iter().any(|socket| target.as_os_str() == &**socket)
    })
}

/// `TCP_LISTEN` in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// A server program. It can be started again with the same address and directory. Dropping it kills the process and
/// removes the directory.
pub struct ListeningProgram {
    running: Option<RunningProgram>,
    pub address: ReservedAddress,
    // Removed after the process has ended.
    pub directory: Directory,
}

impl ListeningProgram {
    /// Reserves an address and creates a directory. The program is not started.
    #[expect(
        clippy::new_without_default,
        reason = "it reserves a port and creates a directory"
    )]
    pub fn new() -> Self {
        Self {
            running: None,
            address: ReservedAddress::new(),
            directory: Directory::new(),
        }
    }

    /// Starts the program and waits until its process listens on the address, which the command must contain.
    #[track_caller]
    pub fn start(&mut self, command: &mut Command) {
        self.kill();
        let log = self.directory.0.join("log");
        let running = RunningProgram::start(command.stderr(fs::File::create(&log).unwrap()));
        let running = self.running.insert(running);
        let address = self.address.get();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_listening(running.id(), address) {
            if running.has_exited() || Instant::now() > deadline {
                let log = fs::read_to_string(&log).unwrap_or_default();
                panic!("{command:?} does not listen on {address}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn kill(&mut self) {
        self.running = None;
    }

    /// The id of the running process.
    #[track_caller]
    pub fn id(&self) -> u32 {
        self.running.as_ref().expect("the program is running").id()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address.get())
    }
}
