//! A program in a terminal of its own: what it writes, what is typed, and how the terminal is left.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

const ROWS: u16 = 30;
const COLUMNS: u16 = 140;
const PATIENCE: Duration = Duration::from_secs(30);

/// A program in a terminal.
pub(super) struct Pty {
    pub(super) child: Child,
    keyboard: File,
    /// Kept open, so that the terminal outlives the program.
    line: OwnedFd,
    written: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

impl Pty {
    pub(super) fn start(command: &mut Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let line = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let size = Winsize {
            ws_row: ROWS,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&line, size).unwrap();
        let end = || line.try_clone().unwrap();
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn();
        let keyboard = File::from(master);
        let mut reader = keyboard.try_clone().unwrap();
        let (sender, written) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child: child.unwrap(),
            keyboard,
            line,
            written,
            screen: vt100::Parser::new(ROWS, COLUMNS, 0),
        }
    }

    /// Waits until this is on the screen.
    pub(super) fn sees(&mut self, words: &str) {
        self.until(words, |screen| screen.contents().contains(words));
    }

    /// Waits until the screen is one that was there before the program.
    pub(super) fn is_left(&mut self) {
        let left = |screen: &vt100::Screen| !screen.alternate_screen() && !screen.hide_cursor();
        self.until("the shell's own screen", left);
    }

    fn until(&mut self, what: &str, fits: impl Fn(&vt100::Screen) -> bool) {
        while !fits(self.screen.screen()) {
            let more = self.written.recv_timeout(PATIENCE);
            let seen = self.screen.screen().contents();
            let more = more.unwrap_or_else(|_| panic!("not seen: {what}:\n{seen}"));
            self.screen.process(&more);
        }
    }

    pub(super) fn screen(&self) -> &vt100::Screen {
        self.screen.screen()
    }

    pub(super) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Whether lines are edited and echoed, as a shell leaves them.
    pub(super) fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.line).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
