//! Which programs hold which sockets.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use plimsoll_model::Owner;

use crate::places::{Place, Places};
use crate::{Error, HostFs, monotonic_now};

/// Who holds sockets, as one search after another has met it. A process is described when it is met, for it may be gone before the next.
#[derive(Debug, Default)]
pub struct Holders {
    programs: Vec<Met>,
    /// The programs that hold a socket, by its inode.
    by_inode: HashMap<u64, BTreeSet<usize>>,
    /// The program of a process, by its number and start: numbers are used again.
    by_process: HashMap<(u32, u64), usize>,
    /// The last program of a description, whatever the number of its process.
    by_description: HashMap<Owner, usize>,
    looked_at: HashMap<u32, LookedAt>,
    /// Looks at processes so far.
    looks: u64,
    places: Places,
    /// What was answered of the first process whose files may not be looked at.
    pub first_refusal: Option<Error>,
    /// Whether a search for every holder ended for want of time.
    pub is_cut: bool,
}

/// How far a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Through every process, so that all that share a socket are met.
    Every,
    /// Until each socket has a holder.
    First,
    /// The same, and only where it is likely: where such sockets were met before, and where those with sockets have what they open next; then
    /// through processes that are new, those whose sockets come and go, and others that had any. For what has just come, and is gone in a moment.
    Likely,
}

/// The last look at the open files of a process.
#[derive(Debug, Default)]
struct LookedAt {
    /// The how manieth look it was.
    look: u64,
    /// The sockets among them, by their number there.
    sockets: HashMap<u32, u64>,
    /// The lowest numbers that were free: what is opened next has these. Unknown where the look was cut short.
    next: Option<[u32; 2]>,
    /// Whether another look before had others.
    stirs: bool,
}

/// A program that was met, and when its process was started.
#[derive(Debug)]
struct Met {
    owner: Owner,
    start_ticks: u64,
}

impl Holders {
    /// The program that holds a socket. Systemd keeps the sockets on which it starts services: such a one is the service's, where that
    /// runs. `None` where none was met, or where several programs share it: whose it is, is not known then.
    pub fn of(&self, inode: u64) -> Option<&Owner> {
        let all: Vec<_> =
            self.by_inode.get(&inode)?.iter().filter_map(|at| Some(&self.programs.get(*at)?.owner)).collect();
        if let [one] = all.as_slice() {
            return Some(one);
        }
        let mut others = all.into_iter().filter(|owner| !is_init(owner));
        others.next().filter(|_| others.next().is_none())
    }

    /// Whether no holder of any socket was met.
    pub fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }

    /// Those that are new first, and the newest of them: they may be gone soon. Then those whose sockets come and go, then others that had
    /// any; of these, those that were not looked at for longest.
    fn in_order(&self, pids: Vec<u32>, search: Search) -> Vec<u32> {
        let rank = |pid: u32| match self.looked_at.get(&pid) {
            None => (0, Reverse(pid), 0),
            Some(before) if before.stirs => (1, Reverse(0), before.look),
            Some(before) if !before.sockets.is_empty() => (2, Reverse(0), before.look),
            Some(before) => (3, Reverse(0), before.look),
        };
        let mut ranked: Vec<_> = pids.into_iter().map(|pid| (rank(pid), pid)).collect();
        ranked.retain(|((rank, ..), _)| search != Search::Likely || *rank < 3);
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, pid)| pid).collect()
    }

    /// Takes the sockets that a process has now, and the lowest numbers that are free.
    fn looked_at(&mut self, pid: u32, sockets: HashMap<u32, u64>, next: Option<[u32; 2]>) {
        self.looks += 1;
        let look = self.looks;
        let Some(before) = self.looked_at.get_mut(&pid) else {
            self.looked_at.insert(pid, LookedAt { look, sockets, next, stirs: false });
            return;
        };
        // Of a number that no look has come to nobody knows what was there.
        let is_known = |file| before.next.is_some() || before.sockets.contains_key(file);
        let have_come =
            sockets.iter().filter(|(file, inode)| is_known(file) && before.sockets.get(file) != Some(inode));
        let have_gone = before.sockets.iter().filter(|(file, _)| next.is_some() && !sockets.contains_key(file));
        let stirring: Vec<_> = have_come.chain(have_gone).map(|(file, _)| *file).collect();
        before.look = look;
        before.stirs |= !stirring.is_empty();
        match next {
            Some(_) => (before.sockets, before.next) = (sockets, next),
            // What lies behind where it was cut is as it was.
            None => before.sockets.extend(sockets),
        }
        for file in stirring {
            self.places.stirs(Place { pid, file });
        }
    }

    /// Where programs with sockets will have what they open next: those whose sockets come and go first, then those that have the most.
    fn next_places(&self) -> Vec<Place> {
        const MOST_PROCESSES: usize = 128;
        let mut with_sockets: Vec<_> = self.looked_at.iter().filter(|(_, now)| !now.sockets.is_empty()).collect();
        with_sockets.sort_unstable_by_key(|(pid, now)| (!now.stirs, Reverse(now.sockets.len()), **pid));
        let processes = with_sockets.into_iter().take(MOST_PROCESSES);
        processes.flat_map(|(pid, now)| now.next.into_iter().flatten().map(|file| Place { pid: *pid, file })).collect()
    }
}

/// A search that goes on.
struct Searched<'a> {
    inodes: &'a HashSet<u64>,
    /// Those that have no holder yet; where every holder is searched for, all.
    left: HashSet<u64>,
    search: Search,
    deadline: Duration,
}

impl Searched<'_> {
    fn goes_on(&self, holders: &mut Holders) -> bool {
        if self.left.is_empty() {
            return false;
        }
        let is_in_time = monotonic_now() < self.deadline;
        holders.is_cut |= !is_in_time && self.search == Search::Every;
        is_in_time
    }

    /// Takes that a socket has a holder. The answer is whether it has just come.
    fn found(&mut self, inode: u64) -> bool {
        self.search != Search::Every && { self.left.remove(&inode) }
    }
}

/// Process 1, or a user's own manager.
fn is_init(owner: &Owner) -> bool {
    let unit = owner.unit.as_ref().map_or("", |unit| unit.as_str());
    owner.pid == 1 || unit == "init.scope" || owner.command.as_str() == "systemd" && unit.starts_with("user@")
}

impl HostFs {
    /// Looks through the open files of processes for these sockets, until `deadline` on the monotonic clock. It takes one readlink(2) a
    /// file.
    pub fn find_holders(
        &self,
        holders: &mut Holders,
        inodes: &HashSet<u64>,
        search: Search,
        deadline: Duration,
    ) -> Result<(), Error> {
        let mut left = inodes.clone();
        let mut first = Vec::new();
        if search == Search::Likely {
            self.look_at_places(&holders.places.all(), holders, &mut left);
            if !left.is_empty() {
                self.look_at_places(&holders.next_places(), holders, &mut left);
            }
            first = holders.places.processes();
        }
        let mut searched = Searched { inodes, left, search, deadline };
        for pid in &first {
            if searched.goes_on(holders) {
                self.search(*pid, holders, &mut searched);
            }
        }
        if !searched.goes_on(holders) {
            return Ok(());
        }
        for pid in holders.in_order(self.process_ids()?, search) {
            if !searched.goes_on(holders) {
                break;
            }
            if !first.contains(&pid) {
                self.search(pid, holders, &mut searched);
            }
        }
        Ok(())
    }

    /// Looks where sockets are likely that have just come.
    fn look_at_places(&self, places: &[Place], holders: &mut Holders, left: &mut HashSet<u64>) {
        for place in places {
            if left.is_empty() {
                break;
            }
            let link = self.path(&format!("/proc/{}/fd/{}", place.pid, place.file)).read_link();
            let Some(inode) = link.ok().and_then(|link| inode_of_socket(&link)) else { continue };
            if left.contains(&inode) && self.note(*place, inode, holders) {
                left.remove(&inode);
                holders.places.has_met(*place);
            }
        }
    }

    /// Notes that a socket is at a place. The answer is whether its program could be described.
    fn note(&self, place: Place, inode: u64, holders: &mut Holders) -> bool {
        let Some(program) = self.program(place.pid, holders) else { return false };
        holders.by_inode.entry(inode).or_default().insert(program);
        true
    }

    fn search(&self, pid: u32, holders: &mut Holders, searched: &mut Searched<'_>) {
        match self.look_at(pid, holders, searched) {
            Err(error) if !error.is_absent() => {
                holders.first_refusal.get_or_insert(error);
                // It is no new one any more.
                holders.looked_at(pid, HashMap::new(), None);
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Notes which of these sockets a process holds.
    fn look_at(&self, pid: u32, holders: &mut Holders, searched: &mut Searched<'_>) -> Result<(), Error> {
        const FILES_A_LOOK: usize = 1024;
        let path = self.path(&format!("/proc/{pid}/fd"));
        let files = path.read_dir().map_err(|source| Error::System { action: "list", path: path.clone(), source })?;
        let (mut sockets, mut numbers, mut is_cut) = (HashMap::new(), Vec::new(), false);
        for (number, file) in files.enumerate() {
            // The search that called it finds the same, and says so.
            if number % FILES_A_LOOK == FILES_A_LOOK - 1 && monotonic_now() >= searched.deadline {
                is_cut = true;
                break;
            }
            // A file that is closed meanwhile is passed over.
            let Some((file, link)) = file.ok().and_then(|file| Some((file.file_name(), file.path().read_link().ok()?)))
            else {
                continue;
            };
            let Some(file) = file.to_str().and_then(|file| file.parse().ok()) else { continue };
            numbers.push(file);
            let Some(inode) = inode_of_socket(&link) else { continue };
            sockets.insert(file, inode);
            let place = Place { pid, file };
            if searched.inodes.contains(&inode) && self.note(place, inode, holders) && searched.found(inode) {
                holders.places.has_met(place);
                if searched.left.is_empty() {
                    return Ok(());
                }
            }
        }
        holders.looked_at(pid, sockets, (!is_cut).then(|| lowest_free(numbers)));
        Ok(())
    }

    /// The program of a process. One that does as another did that has ended (a `curl` for each request) counts with it.
    fn program(&self, pid: u32, holders: &mut Holders) -> Option<usize> {
        let start_ticks = self.start_ticks(pid)?;
        if let Some(known) = holders.by_process.get(&(pid, start_ticks)) {
            return Some(*known);
        }
        let head = self.head_of(pid);
        let program = match self.start_ticks(head).filter(|_| head != pid) {
            Some(_) => self.program(head, holders)?,
            None => self.describe_program(pid, start_ticks, holders)?,
        };
        holders.by_process.insert((pid, start_ticks), program);
        Some(program)
    }

    fn describe_program(&self, pid: u32, start_ticks: u64, holders: &mut Holders) -> Option<usize> {
        let owner = self.describe(pid).ok()?;
        let description = Owner { pid: 0, ..owner.clone() };
        let has_ended = |met: &Met| self.start_ticks(met.owner.pid) != Some(met.start_ticks);
        let alike = holders.by_description.get(&description).copied();
        if let Some(alike) = alike.filter(|alike| holders.programs.get(*alike).is_some_and(has_ended)) {
            return Some(alike);
        }
        holders.programs.push(Met { owner, start_ticks });
        let place = holders.programs.len() - 1;
        holders.by_description.insert(description, place);
        Some(place)
    }
}

/// The two lowest numbers that are not among these.
fn lowest_free(mut numbers: Vec<u32>) -> [u32; 2] {
    numbers.sort_unstable();
    let mut free = (0..).filter(|number| numbers.binary_search(number).is_err());
    [free.next().unwrap_or(u32::MAX), free.next().unwrap_or(u32::MAX)]
}

/// `socket:[4711]` (`sockfs_dname`).
fn inode_of_socket(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    /// A process with a name, a unit and sockets.
    fn process(tree: &Tree, pid: u32, command: &str, unit: &str, inodes: &[u64]) {
        tree.write(&format!("proc/{pid}/comm"), format!("{command}\n"));
        tree.write(&format!("proc/{pid}/cgroup"), format!("0::/system.slice/{unit}\n"));
        let zeros = "0 ".repeat(17);
        tree.write(&format!("proc/{pid}/stat"), format!("{pid} ({command}) S 0 {zeros}{} 0\n", 100 + pid));
        for inode in inodes {
            tree.link(&format!("proc/{pid}/fd/{inode}"), format!("socket:[{inode}]"));
        }
    }

    fn find(tree: &Tree, holders: &mut Holders, inodes: &[u64], search: Search) {
        let deadline = monotonic_now() + Duration::from_mins(1);
        tree.host().find_holders(holders, &inodes.iter().copied().collect(), search, deadline).unwrap();
    }

    fn pid(holders: &Holders, inode: u64) -> Option<u32> {
        holders.of(inode).map(|owner| owner.pid)
    }

    #[test]
    fn sockets_are_found_among_other_files() {
        let tree = Tree::new();
        process(&tree, 10, "web", "web.service", &[70]);
        process(&tree, 11, "dns", "dns.service", &[71]);
        tree.link("proc/10/fd/0", "/dev/null");
        tree.link("proc/10/fd/1", "socket:[x]");
        tree.write("proc/12/comm", "no fd\n");
        let mut holders = Holders::default();
        find(&tree, &mut holders, &[70, 71, 72], Search::Every);
        assert_eq!([70, 71, 72].map(|inode| pid(&holders, inode)), [Some(10), Some(11), None]);
        assert!(!holders.is_cut && holders.first_refusal.is_none());

        let mut late = Holders::default();
        tree.host().find_holders(&mut late, &HashSet::from([70]), Search::Every, Duration::ZERO).unwrap();
        assert!(late.is_cut && late.of(70).is_none());
    }

    #[test]
    fn a_look_that_was_cut_short_tells_nothing_of_what_lies_behind() {
        let sockets =
            |files: std::ops::Range<u32>| files.map(|file| (file, u64::from(file))).collect::<HashMap<_, _>>();
        let mut holders = Holders::default();
        for (pid, looks) in [(7, [Some([3, 4]), None, Some([3, 4])]), (8, [None, None, Some([3, 4])])] {
            for next in looks {
                let seen = if next.is_some() { 10..5000 } else { 10..1000 };
                holders.looked_at(pid, sockets(seen), next);
            }
            let known = &holders.looked_at[&pid];
            assert!(!known.stirs && known.sockets.len() == 4990 && known.next == Some([3, 4]), "{pid}");
        }
        assert_eq!(holders.places.all(), []);
        holders.looked_at(7, HashMap::from([(10, 77)]), None);
        assert!(holders.looked_at[&7].stirs, "another has come where one was");
    }

    #[test]
    fn a_socket_that_systemd_keeps_is_its_services() {
        let tree = Tree::new();
        process(&tree, 1, "systemd", "init.scope", &[70, 71, 72]);
        process(&tree, 5, "systemd", "user@0.service/init.scope", &[73]);
        process(&tree, 8, "docker", "docker.service", &[70, 73]);
        process(&tree, 9, "sshd", "ssh.service", &[72]);
        process(&tree, 10, "helper", "helper.service", &[72]);
        let mut holders = Holders::default();
        find(&tree, &mut holders, &[70, 71, 72, 73], Search::Every);
        assert_eq!([70, 73].map(|inode| pid(&holders, inode)), [Some(8), Some(8)]);
        assert_eq!(pid(&holders, 71), Some(1), "nobody else has it");
        assert_eq!(pid(&holders, 72), None, "two others have it");
    }

    #[test]
    fn who_came_since_is_met_and_stays_known_when_it_is_gone() {
        let tree = Tree::new();
        process(&tree, 10, "web", "web.service", &[]);
        tree.link("proc/10/fd/0", "/dev/null");
        let mut holders = Holders::default();
        find(&tree, &mut holders, &[70], Search::Every);
        process(&tree, 20, "curl", "cron.service", &[70]);
        find(&tree, &mut holders, &[70], Search::Likely);
        assert_eq!(pid(&holders, 70), Some(20), "it is new");

        std::fs::remove_dir_all(tree.host().path("/proc/20")).unwrap();
        process(&tree, 21, "curl", "cron.service", &[71]);
        process(&tree, 22, "curl", "other.service", &[72]);
        process(&tree, 23, "curl", "cron.service", &[73]);
        find(&tree, &mut holders, &[71, 72, 73], Search::First);
        assert_eq!([70, 72].map(|inode| pid(&holders, inode)), [Some(20), Some(22)]);
        let both = [71, 73].map(|inode| pid(&holders, inode));
        assert_eq!(both, [Some(20), Some(20)], "they do as the first did");

        // One that had no socket is met by a whole search.
        tree.link("proc/10/fd/3", "socket:[74]");
        find(&tree, &mut holders, &[74], Search::Likely);
        assert_eq!(pid(&holders, 74), None);
        find(&tree, &mut holders, &[74], Search::First);
        assert_eq!(pid(&holders, 74), Some(10));
    }

    #[test]
    fn what_comes_and_goes_is_looked_for_where_such_was_met() {
        let tree = Tree::new();
        let put = |pid: u32, file: u32, inode: u64| {
            let link = format!("proc/{pid}/fd/{file}");
            drop(std::fs::remove_file(tree.host().path(&format!("/{link}"))));
            tree.link(&link, format!("socket:[{inode}]"));
        };
        for pid in [10, 11] {
            process(&tree, pid, "web", &format!("{pid}.service"), &[]);
            put(pid, 3, u64::from(pid));
        }
        let mut holders = Holders::default();
        find(&tree, &mut holders, &[], Search::Every);
        find(&tree, &mut holders, &[1], Search::Every);
        assert!(holders.places.all().is_empty(), "nothing has moved");
        put(11, 4, 70);
        find(&tree, &mut holders, &[1], Search::Likely);
        assert_eq!(holders.places.all(), [Place { pid: 11, file: 4 }], "one has come");
        assert_eq!(holders.in_order(vec![10, 11], Search::Likely), [11, 10], "and others may where it did");

        // Without time only the places are looked at.
        let at_once = |holders: &mut Holders, inode: u64| {
            tree.host().find_holders(holders, &HashSet::from([inode]), Search::Likely, Duration::ZERO).unwrap();
            pid(holders, inode)
        };
        put(11, 4, 71);
        put(10, 5, 72);
        assert_eq!([71, 72].map(|inode| at_once(&mut holders, inode)), [Some(11), None]);
        put(10, 0, 74);
        assert_eq!(at_once(&mut holders, 74), Some(10), "it is the lowest number that was free");
        find(&tree, &mut holders, &[72], Search::Likely);
        assert_eq!(pid(&holders, 72), Some(10));
        put(10, 5, 73);
        assert_eq!(at_once(&mut holders, 73), Some(10));
        // What was met is remembered of each of them.
        assert_eq!([71, 72, 73].map(|inode| pid(&holders, inode)), [Some(11), Some(10), Some(10)]);
    }
}
