//! What came of it: in words, and as a document.

use std::path::Path;

use plimsoll_apply::{
    Application, Because, Change, LastingFiles, OwnRules, Phase, Progress, Revert, Unproven, unproven, unread,
};
use plimsoll_model::{Edit, Untrusted};
use serde::Serialize;
use serde_json::{Value, json};

use super::arguments::ApplyArguments;
use super::untracked;
use crate::wrap::{indented, paragraph};

/// What `apply` came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// What would be written.
    Planned { namespace: String, changes: Vec<Change>, reverts: Vec<Revert>, lasting: LastingFiles },
    /// All is so already.
    NothingToDo,
    /// All is in force.
    Awaiting(Application),
    /// All was undone, or that was tried.
    Undone { because: Because, application: Application, unwritten: Vec<String> },
}

/// What `apply --json` writes: `docs/apply.md` describes it.
#[derive(Debug, Serialize)]
pub(super) struct Document(Value);

impl Document {
    pub(super) fn of(outcome: &Outcome) -> Self {
        const SCHEMA: &str = "plimsoll.apply/1";
        Self(match outcome {
            Outcome::Planned { namespace, changes, reverts, lasting } => {
                let changes: Vec<_> = changes
                    .iter()
                    .zip(reverts)
                    .map(|(change, revert)| change_as_json(change, revert, "planned"))
                    .collect();
                let files: Vec<_> =
                    lasting.edits.iter().map(|file| json!({ "path": shown(&file.path), "undone": null })).collect();
                json!({
                    "schema": SCHEMA, "outcome": "planned", "namespace": namespace, "changes": changes, "files": files,
                    "not_lasting": lasting.not_lasting,
                })
            }
            Outcome::NothingToDo => json!({ "schema": SCHEMA, "outcome": "nothing_to_do", "changes": [] }),
            Outcome::Awaiting(application) => {
                let mut document = application_as_json(application);
                document["schema"] = SCHEMA.into();
                document["confirm_within_secs"] = (application.begun.confirm_within_ms as f64 / 1000.0).into();
                document["unread"] = json!(unread(application));
                document
            }
            Outcome::Undone { application, unwritten, .. } => {
                let mut document = application_as_json(application);
                document["schema"] = SCHEMA.into();
                document["unwritten"] = json!(unwritten);
                document
            }
        })
    }

    pub(super) fn render(&self) -> anyhow::Result<String> {
        render(&self.0)
    }
}

/// A document, as it is written.
pub(super) fn render(document: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}

/// An application, in `apply`'s, `rollback`'s and `history`'s documents alike.
pub(super) fn application_as_json(application: &Application) -> Value {
    let begun = &application.begun;
    let changes: Vec<_> = begun
        .changes
        .iter()
        .zip(&begun.reverts)
        .zip(&application.changes)
        .enumerate()
        .map(|(at, ((change, revert), progress))| {
            let mut document = change_as_json(change, revert, state(progress));
            if let Some(seen) = application.untracked.get(&at) {
                document["untracked"] = untracked::as_json(seen);
            }
            document
        })
        .collect();
    let files = application.files.iter().map(|(file, undone)| json!({ "path": shown(&file.path), "undone": undone }));
    json!({
        "application": begun.id,
        "outcome": outcome(application),
        "began_unix_secs": application.began_unix_secs,
        "by": begun.by.shown(),
        "confirmed_by": application.confirmed_by.as_ref().map(plimsoll_apply::Author::shown),
        "namespace": Untrusted::from(begun.namespace.name.as_str()),
        "because": application.undone_because.last(),
        "changes": changes,
        "files": files.collect::<Vec<_>>(),
        "unproven": unproven_as_json(application),
    })
}

fn unproven_as_json(application: &Application) -> Vec<Value> {
    let pending = unproven(application).into_iter();
    pending
        .map(|one| json!({ "sysctl": one.sysctl, "in_force_secs": one.in_force_secs, "needed_secs": one.needed_secs }))
        .collect()
}

fn outcome(application: &Application) -> &'static str {
    match application.phase {
        Phase::Applying if application.is_governed() => "governed",
        Phase::Applying => "applying",
        Phase::Awaiting { .. } => "awaiting_confirmation",
        Phase::Confirmed(_) => "confirmed",
        Phase::Undoing => "undone_in_part",
        Phase::Ended => "undone",
    }
}

fn change_as_json(change: &Change, revert: &Revert, state: &str) -> Value {
    json!({ "edit": change.edit, "why": Untrusted::from(change.why.as_str()), "revert": revert, "state": state })
}

fn state(progress: &Progress) -> &'static str {
    use plimsoll_apply::Undone;
    match progress {
        Progress::Untouched => "untouched",
        Progress::Begun => "perhaps_written",
        Progress::Written { .. } => "written",
        Progress::Undone(Undone::Restored) => "restored",
        Progress::Undone(Undone::NothingToDo) => "as_before",
        Progress::Undone(Undone::NotMade { .. }) => "not_made",
        Progress::Undone(Undone::Superseded { .. }) => "superseded",
        Progress::Undone(Undone::Gone) => "gone",
        Progress::Undone(Undone::Held { .. }) => "held",
        Progress::Undone(Undone::Failed { .. }) => "failed",
    }
}

/// For people.
pub(super) fn text(outcome: &Outcome, arguments: &ApplyArguments) -> String {
    match outcome {
        Outcome::NothingToDo => "Nothing to do: all of it is so already.\n".to_string(),
        Outcome::Planned { namespace, changes, reverts, lasting } => {
            planned(namespace, changes, reverts, arguments) + &kept(lasting)
        }
        Outcome::Awaiting(application) => awaiting(application),
        Outcome::Undone { because, application, unwritten } => undone(because, application, unwritten),
    }
}

fn planned(namespace: &str, changes: &[Change], reverts: &[Revert], arguments: &ApplyArguments) -> String {
    let mut text = format!("In {namespace}, in this order, nothing of which is done now:\n");
    for (at, (change, revert)) in changes.iter().zip(reverts).enumerate() {
        text += &format!("  {}. {}\n", at + 1, edit_in_words(&change.edit));
        if !change.why.is_empty() {
            text += &format!("     why: {}\n", Untrusted::from(change.why.as_str()));
        }
        text += &format!("     undone by: {revert}\n");
        if let (Some(rules), Revert::Rules(name)) = (OwnRules::of(&change.edit), revert) {
            let commands = plimsoll_apply::making(rules, name, plimsoll_apply::Armed::For(arguments.confirm_within));
            commands.lines().for_each(|line| text += &format!("       {line}\n"));
        }
    }
    let soak = arguments.soak.as_secs_f64();
    let watched =
        if soak > 0.0 { format!("Watched for {soak} s before the first and after each. ") } else { String::new() };
    let within = arguments.confirm_within.as_secs_f64();
    text + &paragraph("", &format!("{watched}All is undone after {within} s unless `plimsoll confirm` keeps it."))
}

/// What a confirmation would write.
fn kept(lasting: &LastingFiles) -> String {
    let files = lasting
        .edits
        .iter()
        .map(|file| format!("`plimsoll confirm` then writes {}:\n{}", shown(&file.path), indented(&file.after)));
    let not = lasting.not_lasting.iter().map(|why| paragraph("", &format!("Not all of it would last: {why}")));
    files.chain(not).collect()
}

fn shown(path: &Path) -> Untrusted {
    Untrusted::from(path.to_string_lossy().as_ref())
}

fn awaiting(application: &Application) -> String {
    let begun = &application.begun;
    let mut text =
        format!("Application {} is in force in {}:\n", begun.id, Untrusted::from(begun.namespace.name.as_str()));
    for change in &begun.changes {
        text += &format!("  {}\n", edit_in_words(&change.edit));
    }
    for (at, seen) in &application.untracked {
        let of = begun.changes.get(*at).map(|change| edit_in_words(&change.edit)).unwrap_or_default();
        let said = untracked::in_words(seen, begun.soak_ms as f64 / 1000.0);
        text += &paragraph("", &format!("Of {of}: {said}"));
    }
    if begun.baseline.is_none() {
        text += "Nothing was watched (--soak 0).\n";
    }
    let unread = unread(application);
    if !unread.is_empty() {
        let names = unread.iter().map(|signal| signal.name()).collect::<Vec<_>>().join("; ");
        text += &paragraph("", &format!("Not watched, because it cannot be read here: {names}."));
    }
    text += &unproven_in_words(&unproven(application));
    let within = begun.confirm_within_ms as f64 / 1000.0;
    let end =
        format!("It is undone in {within} s unless `plimsoll confirm` keeps it; `plimsoll rollback` undoes it now.");
    text + &paragraph("", &end)
}

/// What watching has not shown yet.
pub(super) fn unproven_in_words(unproven: &[Unproven]) -> String {
    let lines = unproven.iter().map(|one| {
        let Unproven { sysctl, in_force_secs, needed_secs } = one;
        let text = format!(
            "Not proven yet: {sysctl} is in force for {in_force_secs} s, and harm of it shows within {needed_secs} s, or when a flow \
             that was silent for longer speaks again."
        );
        paragraph("", &text)
    });
    lines.collect()
}

fn undone(because: &Because, application: &Application, unwritten: &[String]) -> String {
    let begun = &application.begun;
    let mut text = format!("Application {} was undone: {}\n", begun.id, Untrusted::from(because.to_string().as_str()));
    text += &results(application);
    text + &unwritten_in_words(unwritten)
}

/// What the journal does not tell of it.
pub(super) fn unwritten_in_words(unwritten: &[String]) -> String {
    let mut text = String::new();
    for error in unwritten {
        text += &format!("The journal could not be written: {}\n", Untrusted::from(error.as_str()));
    }
    text
}

/// What became of each change and file that was undone.
pub(super) fn results(application: &Application) -> String {
    let begun = &application.begun;
    let mut text = String::new();
    for (change, progress) in begun.changes.iter().zip(&application.changes) {
        if let Progress::Undone(result) = progress {
            text += &format!("  {}: {}\n", edit_in_words(&change.edit), Untrusted::from(result.to_string().as_str()));
        }
    }
    for (file, result) in &application.files {
        if let Some(result) = result {
            let path = shown(&file.path);
            text += &format!("  {path}: {}\n", Untrusted::from(result.to_string().as_str()));
        }
    }
    if !application.remaining().is_empty() {
        text += &format!(
            "Not all is undone; its watchdog goes on trying, and `plimsoll rollback {}` tries now.\n",
            begun.id
        );
    }
    text
}

/// An edit in a few words.
pub(super) fn edit_in_words(edit: &Edit) -> String {
    match edit {
        Edit::Sysctl { sysctl, from, to } => format!("{sysctl} = {to} (was {from})"),
        Edit::Policy(policy) => {
            let timeouts: Vec<_> =
                policy.timeouts.iter().map(|one| format!("{} = {} s", one.sysctl.name(), one.secs)).collect();
            format!("timeouts of {}/{} alone: {}", policy.protocol.name(), policy.port, timeouts.join(", "))
        }
        Edit::Bypass(bypass) => bypass.to_string(),
        Edit::Shield(shield) => format!("a shield of {}", shield.class),
        Edit::XdpStage(stage) => format!("an XDP stage of a shield on {}", stage.interface),
    }
}
