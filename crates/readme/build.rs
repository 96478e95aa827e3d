//! Extracts the samples from the documentation, so that the tests run exactly the code that users copy.

use std::{env, error::Error, fs, path::Path};

const SAMPLES: [(&str, &[&str]); 4] = [
    ("../../README.md", &["sessions"]),
    ("../../docs/observability.md", &["metrics"]),
    ("../../docs/servers.md", &["hyper", "slashes"]),
    ("../../src/ordering.md", &["table"]),
];

fn main() -> Result<(), Box<dyn Error>> {
    let out = env::var("OUT_DIR")?;
    for (file, names) in SAMPLES {
        println!("cargo::rerun-if-changed={file}");
        let text = fs::read_to_string(file)?;
        for name in names {
            let code =
                sample(&text, name).ok_or_else(|| format!("{file} has no sample `{name}`"))?;
            fs::write(Path::new(&out).join(format!("{name}.rs")), code)?;
        }
    }
    Ok(())
}

/// The code block after a sample's marker.
fn sample<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, after) = text.split_once(&format!("<!-- sample: {name} -->\n```rust\n"))?;
    Some(after.split_once("\n```\n")?.0)
}
