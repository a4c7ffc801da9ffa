//! Word lists of other filters, for comparison.

use std::path::Path;

use serde_json::Value;

/// The words of a list, in lower case.
pub(crate) fn list(folder: &Path, name: &str) -> Vec<String> {
    let read = |path: &str| {
        let path = folder.join("wordlists").join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let lines = |path: &str| read(path).lines().map(str::to_owned).collect::<Vec<_>>();
    let mut words = match name {
        "badwords-ko" => {
            let list: Value = serde_json::from_str(&read("badwords-ko/badwords.ko.config.json")).unwrap();
            list["badWords"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
        }
        "nerv-ko" => {
            let list: Value = serde_json::from_str(&read("nerv-ko/default_dic.json")).unwrap();
            let mut words = Vec::new();
            for group in list.as_object().unwrap().values().filter_map(Value::as_object) {
                for (root, entry) in group {
                    words.push(root.clone());
                    let variants = entry["variants"].as_array().into_iter().flatten();
                    words.extend(variants.filter_map(Value::as_str).map(str::to_owned));
                }
            }
            words
        }
        "surge-en" => {
            let rows = lines("surge-en/profanity_en.csv");
            rows.iter().skip(1).filter_map(|row| row.split(',').next()).map(str::to_owned).collect()
        }
        "ldnoobw-ko" => lines("ldnoobw/ko.txt"),
        "ldnoobw-en" => lines("ldnoobw/en.txt"),
        _ => panic!("there is no list {name}"),
    };
    words.iter_mut().for_each(|word| *word = word.trim().to_lowercase());
    words.retain(|word| word.chars().count() > 1);
    words.sort();
    words.dedup();
    words
}
