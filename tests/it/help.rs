//! Every `--help` under snapshot, found by asking the program for its commands.

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

/// The names in the `Commands:` part of a help text.
fn commands(help: &str) -> Vec<String> {
    let Some((_, rest)) = help.split_once("Commands:\n") else {
        return Vec::new();
    };
    rest.lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_help() {
    let sandbox = Sandbox::empty();
    let mut waiting = vec![Vec::<String>::new()];
    let mut seen = 0;
    while let Some(words) = waiting.pop() {
        let mut call: Vec<_> = words.iter().map(String::as_str).collect();
        call.push("--help");
        let run = sandbox.run(&call);
        assert_eq!((run.exit, run.stderr.as_str()), (0, ""), "{call:?}");
        for name in commands(&run.stdout) {
            waiting.push([words.as_slice(), &[name]].concat());
        }
        let name = [&["help".to_owned()], words.as_slice()].concat().join("_");
        assert_snapshot!(name, run.stdout);
        seen += 1;
    }
    assert!(seen > 20, "only {seen} commands were found");
}

#[test]
fn a_wrong_call_is_text_on_standard_error_and_exit_2() {
    let sandbox = Sandbox::empty();
    for call in [
        &["issue"][..],
        &["issue", "--request", "a", "--batch", "b"],
        &["verify", "--request", "a"],
        &["nonsense"],
        &["issue", "--request", "a", "--format", "yaml"],
        &["verify-chain", "--jsonl", "a", "--dir", "b"],
        &["verify-chain", "--expect-tip", "a", "--checkpoint", "b"],
        &["stream", "export", "main"],
        &["hash"],
        &["hash", "--domain", ""],
        &["replay", "--from", "-1"],
        &["schema", "nothing"],
    ] {
        let run = sandbox.run(call);
        assert_eq!((run.exit, run.stdout.as_str()), (2, ""), "{call:?}");
        assert!(!run.stderr.is_empty(), "{call:?}");
        let run = sandbox.run(&[call, &["--format", "json"]].concat());
        // The same as one JSON object for programs; the text stays.
        let told: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(
            (run.exit, &told["reason"]),
            (2, &"USAGE".into()),
            "{call:?}"
        );
        assert!(!told["message"].as_str().unwrap().is_empty(), "{told}");
        let step = told["next_step"].as_str().unwrap();
        let step: Vec<_> = step.strip_prefix("permit ").unwrap().split(' ').collect();
        assert_eq!(sandbox.run(&step).exit, 0, "{step:?}");
        assert!(!run.stderr.is_empty(), "{call:?}");
    }
    assert_snapshot!(sandbox.permit(&["issue"]));
    assert_snapshot!(sandbox.permit(&["--version"]));
}

#[test]
fn a_help_page_has_one_block_of_options_and_one_of_those_of_every_command() {
    let sandbox = Sandbox::empty();
    for call in [
        &["issue", "--help"][..],
        &["hap", "attest", "--help"],
        &["stream", "open", "--help"],
    ] {
        let help = sandbox.run(call).stdout;
        let heads = |head: &str| help.lines().filter(|line| *line == head).count();
        assert_eq!(
            (heads("Options:"), heads("Options of every command:")),
            (1, 1),
            "{help}"
        );
        let (own, everywhere) = help.split_once("Options of every command:").unwrap();
        assert!(
            !own.contains("--repository") && everywhere.contains("--governed-ref"),
            "{help}"
        );
    }
}

#[test]
fn explain_without_a_code_lists_all_and_a_wrong_code_leads_there() {
    let sandbox = Sandbox::empty();
    let listed = sandbox.json(&["explain"]);
    let codes = listed["codes"].as_array().unwrap();
    assert!(
        codes
            .iter()
            .any(|code| code["code"] == "CHAIN_TAMPERED" && code["exit"] == 5)
    );
    let run = sandbox.run(&["explain", "NOPE"]);
    assert_eq!(run.exit, 2);
    assert!(
        run.stderr.contains("`permit explain` lists them"),
        "{}",
        run.stderr
    );
    assert_eq!(sandbox.run(&["explain", "chain_tampered"]).exit, 0);
}
