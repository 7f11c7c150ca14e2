//! Any text as a configuration: mistakes that can be printed, or one that is
//! shown and read again.

#![no_main]

use std::{collections::BTreeMap, io, path::PathBuf};

use libfuzzer_sys::fuzz_target;
use supercheck::config::{Loaded, Mistakes, Sources, load, show};

fn read(text: &str) -> Result<Loaded, Mistakes> {
    let env = [("API_TOKEN", "x"), ("SUPERCHECK_LOG__FORMAT", "json")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    load(&Sources {
        main: Some((PathBuf::from("supercheck.toml"), text.to_owned())),
        env: &BTreeMap::from(env),
        read: &|_| Err(io::ErrorKind::NotFound.into()),
        list: &|_| Ok(Vec::new()),
    })
}

fuzz_target!(|text: &str| {
    match read(text) {
        Err(mistakes) => assert!(!mistakes.to_string().is_empty()),
        Ok(loaded) => {
            let shown = show(&loaded.config);
            if let Err(mistakes) = read(&shown) {
                panic!("{mistakes}\nin:\n{shown}");
            }
        }
    }
});
