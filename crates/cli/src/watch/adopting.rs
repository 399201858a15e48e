//! What a running daemon does when its settings are read anew: all of it, or nothing.

use anyhow::Context;
use plimsoll_watch::textfile;

use super::daemon::{Daemon, access, bind, governing, serve, untracked};
use super::settings::Settings;

impl Daemon {
    /// Does from now on what other settings ask for. What cannot be done stays as it was.
    pub(super) fn adopt(&mut self, new: Settings) {
        match self.try_to_adopt(new) {
            Ok(()) => self.log.say("the settings were read anew, and are in force"),
            Err(error) => self.log.wrong(&format!("what was in force stays so: {error:#}")),
        }
        if self.governing.is_none() {
            self.board.forget_governing();
        }
    }

    /// Does first what may fail, so that what failed leaves all of it as it was.
    fn try_to_adopt(&mut self, new: Settings) -> anyhow::Result<()> {
        let lasting = |of: &Settings| (of.state_dir.clone(), of.history, of.confined);
        if lasting(&new) != lasting(&self.settings) {
            anyhow::bail!("where the history is kept, and what is given up, changes only at the next start");
        }
        if let Some(path) = new.textfile.as_ref().filter(|path| self.settings.textfile.as_ref() != Some(path)) {
            textfile::try_out(path)?;
        }
        let invited = self.notifier.invite(new.targets.clone()).context("a thread cannot be started")?;
        let old = self.settings.clone();
        self.adopt_listeners(&old, &new)?;
        if let Err(error) = self.adopt_governing(&old, &new) {
            if let Err(again) = self.adopt_listeners(&new, &old) {
                self.log.wrong(&format!("it listens where it should not: {again:#}"));
            }
            return Err(error);
        }
        self.notifier.adopt(invited);
        self.board.adopt(new.interval, new.names);
        self.settings = new;
        self.remove_textfile_of(&old);
        Ok(())
    }

    /// Removes the file of metrics of earlier settings, if it is not written any more: `node_exporter` would go on to tell what is in it.
    fn remove_textfile_of(&self, old: &Settings) {
        let Some(path) = old.textfile.as_ref().filter(|path| self.settings.textfile.as_ref() != Some(path)) else {
            return;
        };
        if let Err(error) = textfile::remove(path) {
            self.log.wrong(&error.to_string());
        }
    }

    /// Listens where other settings want it to. If that fails it listens where it did.
    fn adopt_listeners(&mut self, old: &Settings, new: &Settings) -> anyhow::Result<()> {
        let places = |of: &Settings| (of.listen.clone(), of.untracked);
        let is_deaf = self.server.is_none() && !new.listen.is_empty();
        if places(new) == places(old) && !is_deaf {
            return match &self.server {
                Some(server) => Ok(server.reload(access(new))?),
                None => Ok(()),
            };
        }
        // Before anything is given up: a file that is broken now would keep the old server from coming back, too.
        if !new.listen.is_empty() {
            access(new).try_out()?;
        }
        // The old sockets first: the new ones may be the same.
        self.server = None;
        self.untracked = None;
        let open = |of: &Settings| anyhow::Ok((untracked(of)?, serve(of, bind(of)?, &self.pages)?));
        let error = match open(new) {
            Ok(opened) => {
                (self.untracked, self.server) = opened;
                return Ok(());
            }
            Err(error) => error,
        };
        match open(old) {
            Ok(opened) => (self.untracked, self.server) = opened,
            Err(again) => {
                self.log.wrong(&format!("it does not listen any more, until settings are read anew: {again:#}"));
            }
        }
        Err(error)
    }

    /// Governs as other settings want it to. If that fails it governs as it did.
    fn adopt_governing(&mut self, old: &Settings, new: &Settings) -> anyhow::Result<()> {
        let is_missing = self.governing.is_none() && new.govern.is_some();
        if new.govern == old.govern && !is_missing {
            return Ok(());
        }
        // What is set is undone first.
        self.governing = None;
        let error = match governing(new, &self.board, self.log) {
            Ok(begun) => {
                self.governing = begun;
                return Ok(());
            }
            Err(error) => error,
        };
        match governing(old, &self.board, self.log) {
            Ok(before) => self.governing = before,
            Err(again) => {
                self.log.wrong(&format!("timeouts are not governed, until settings are read anew: {again:#}"));
            }
        }
        Err(error)
    }
}
