//! The reference of all settings, read from the comments of `defaults.toml`: what each means, and its default.

use std::fmt::Write as _;

use crate::reload::Applied;

/// The file with every setting, its default and its description.
pub(super) const DEFAULTS: &str = include_str!("../defaults.toml");

/// The whole reference.
#[derive(Debug)]
pub(super) struct Reference {
    /// What holds for all settings.
    pub(super) introduction: String,
    pub(super) sections: Vec<Section>,
}

/// A section, such as `[ingest.http]`.
#[derive(Debug, Default)]
pub(super) struct Section {
    /// Such as `ingest.http`.
    pub(super) name: String,
    description: String,
    groups: Vec<Group>,
}

/// Settings that share a description.
#[derive(Debug)]
struct Group {
    settings: Vec<Setting>,
    description: String,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// The key within its section.
    pub(super) key: String,
    /// The default as TOML. None: it has none.
    default: Option<String>,
}

impl Reference {
    /// The reference of this binary.
    pub(super) fn embedded() -> Reference {
        Reference::parse(DEFAULTS)
    }

    fn parse(text: &str) -> Reference {
        let (introduction, rest) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut reference = Reference { introduction: uncommented(introduction), sections: Vec::new() };
        let mut comment = String::new();
        for line in rest.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                let (name, description) = (name.to_owned(), std::mem::take(&mut comment));
                reference.sections.push(Section { name, description, groups: Vec::new() });
            } else if let Some((setting, description)) = setting(line) {
                comment.push_str(description);
                let section = reference.sections.last_mut().expect("a setting is in a section");
                section.add(setting, std::mem::take(&mut comment));
            } else {
                comment.push_str(&uncommented(line));
                comment.push(if line.is_empty() { ' ' } else { '\n' });
            }
        }
        reference
    }

    /// As Markdown.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("# Settings\n\n{}\n", self.introduction);
        let written = self.write(&mut text);
        written.expect("a String takes every text");
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        for Section { name, description, groups } in &self.sections {
            writeln!(text, "\n## [{name}]")?;
            if !description.trim().is_empty() {
                writeln!(text, "\n{}", description.trim())?;
            }
            for Group { settings, description } in groups {
                let keys: Vec<String> = settings.iter().map(|setting| format!("`{name}.{}`", setting.key)).collect();
                writeln!(text, "\n### {}\n", keys.join(", "))?;
                for Setting { key, default } in settings {
                    let variable = format!("CHATTING_{}__{}", name.replace('.', "__"), key).to_uppercase();
                    let default = default.as_ref().map_or("none".to_owned(), |default| format!("`{default}`"));
                    let reload = match Applied::of(&format!("{name}.{key}")) {
                        Applied::AtStart => "",
                        Applied::BySighup => "; SIGHUP applies a change",
                        Applied::Login => "; SIGHUP applies a changed login",
                    };
                    writeln!(text, "- default {default}, variable `{variable}`{reload}")?;
                }
                if !description.trim().is_empty() {
                    writeln!(text, "\n{}", description.trim())?;
                }
            }
        }
        Ok(())
    }
}

impl Section {
    /// All settings in the order of the file.
    pub(super) fn settings(&self) -> impl Iterator<Item = &Setting> {
        self.groups.iter().flat_map(|group| &group.settings)
    }

    /// A setting without a description shares that of the one before it.
    fn add(&mut self, setting: Setting, description: String) {
        match self.groups.last_mut() {
            Some(group) if description.is_empty() => group.settings.push(setting),
            _ => self.groups.push(Group { settings: vec![setting], description }),
        }
    }
}

/// The setting of a line, and the comment at its end. A setting without a default is `# key = "…"`.
fn setting(line: &str) -> Option<(Setting, &str)> {
    let (line, has_default) = line.strip_prefix("# ").map_or((line, true), |line| (line, false));
    let (key, value) = line.split_once(" = ")?;
    let is_key = key.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_');
    if !is_key || !has_default && !value.starts_with('"') {
        return None;
    }
    let (value, description) = value.split_once("  # ").unwrap_or((value, ""));
    let default = has_default.then(|| value.to_owned());
    Some((Setting { key: key.to_owned(), default }, description))
}

fn uncommented(text: &str) -> String {
    let lines = text.lines().map(|line| line.strip_prefix('#').unwrap_or(line).trim());
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The keys of the tree, but none within the value of a setting.
    fn keys(table: &toml::Table, path: &str, sections: &BTreeSet<String>, found: &mut BTreeSet<String>) {
        for (key, value) in table {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match value {
                toml::Value::Table(table) if sections.contains(&path) => keys(table, &path, sections, found),
                _ => assert!(found.insert(path)),
            }
        }
    }

    #[test]
    fn every_setting_is_in_the_reference_with_its_default_and_a_description() {
        let reference = Reference::embedded();
        let sections = reference.sections.iter().map(|section| section.name.clone()).collect();
        let mut expected = BTreeSet::new();
        keys(&DEFAULTS.parse().unwrap(), "", &sections, &mut expected);
        let (mut with_default, mut without) = (BTreeSet::new(), Vec::new());
        for section in &reference.sections {
            for setting in section.settings() {
                let key = format!("{}.{}", section.name, setting.key);
                match &setting.default {
                    Some(_) => assert!(with_default.insert(key)),
                    None => without.push(key),
                }
            }
        }
        assert_eq!(with_default, expected);
        let secrets =
            ["nats.nkey", "auth.secret", "auth.previous_secret", "ingest.gateway.secret", "ingest.review.secret"];
        assert_eq!(without, secrets);
    }

    #[test]
    fn settings_that_share_a_description_are_told_together() {
        let text = "# All.\n# Of it.\n\n[a]\n# One and\n# two.\none = 1\ntwo = \"2\"\n\
                    # secret = \"…\"  # Hidden.\n\n# B.\n[a.b]\nc = [] \n";
        let expected = "# Settings\n\nAll.\nOf it.\n\n## [a]\n\n### `a.one`, `a.two`\n\n\
                        - default `1`, variable `CHATTING_A__ONE`\n- default `\"2\"`, variable `CHATTING_A__TWO`\n\n\
                        One and\ntwo.\n\n### `a.secret`\n\n- default none, variable `CHATTING_A__SECRET`\n\nHidden.\n\n\
                        ## [a.b]\n\nB.\n\n### `a.b.c`\n\n- default `[] `, variable `CHATTING_A__B__C`\n";
        assert_eq!(Reference::parse(text).markdown(), expected);
    }
}
