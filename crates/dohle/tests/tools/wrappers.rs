//! The scripts under `bin/`: one line each, under the names of Kafka's scripts.

use crate::harness::BINARY;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn every_script_runs_the_tool_of_its_name() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bin");
    // Away from the repository, the scripts find the binary on the path.
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for script in fs::read_dir(scripts).unwrap().map(|entry| entry.unwrap().path()) {
        let name = script.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(tool) = name.strip_prefix("kafka-").and_then(|name| name.strip_suffix(".sh")) else {
            continue;
        };
        let copy = folder.path().join(&name);
        fs::copy(&script, &copy).unwrap();
        let path = format!(
            "{}:{}",
            Path::new(BINARY).parent().unwrap().display(),
            std::env::var("PATH").unwrap()
        );
        // Through the shell: a copy that another thread's child still holds open cannot be run itself.
        let output = Command::new("sh").arg(&copy).arg("--help").env("PATH", path).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let expected = if tool == "server-start" { "dohle start" } else { tool };
        assert!(output.status.success() && help.contains(expected), "{name}: {help}");
        seen += 1;
    }
    assert!(seen >= 19, "{seen} scripts");
}
