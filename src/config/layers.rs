//! The layers of the configuration: the embedded defaults, a TOML file, and environment variables. Each value remembers
//! where it was set. A variable is parsed by the type of its default. Invalid values are reported and left out.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use ::config::{ConfigError, Map, Source, Value, ValueKind};
use toml::Table;
use toml::de::{DeTable, DeValue, Error};

use super::old_keys::{self, OldKey};
use super::reference::DEFAULTS;
use super::secret_files;
use super::{Findings, Problem};

/// `CHATTING_INGEST__LISTEN` sets `ingest.listen`.
const PREFIX: &str = "CHATTING_";

/// Variables with the prefix that are not settings: the cache of downloaded servers, and the tests' data.
const NOT_SETTINGS: [&str; 2] = ["CHATTING_CACHE", "CHATTING_SHARED_DATA"];

/// The settings of one layer.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer {
    settings: Map<String, Value>,
    /// Where each section begins. The merged tree does not know it.
    pub(super) sections: BTreeMap<String, String>,
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.settings.clone())
    }
}

/// The default of every setting, for its type.
pub(super) fn defaults() -> Table {
    DEFAULTS.parse().expect("the embedded defaults are TOML; a test reads them")
}

impl Layer {
    pub(super) fn defaults() -> Layer {
        let settings = DeTable::parse(DEFAULTS).expect("the embedded defaults are TOML; a test reads them");
        let mut findings = Findings::default();
        let mut reading = Reading { text: DEFAULTS, name: None, sections: BTreeMap::new(), findings: &mut findings };
        let settings = reading.table(settings.get_ref(), &[], None);
        Layer { settings, sections: BTreeMap::new() }
    }

    pub(super) fn file(file: &Path, defaults: &Table, findings: &mut Findings) -> Layer {
        let name = file.display().to_string();
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                let reason = format!("cannot read the configuration {name}: {error}");
                findings.problems.push(Problem { key: String::new(), place: None, reason });
                return Layer::default();
            }
        };
        let (settings, errors) = DeTable::parse_recoverable(&text);
        if !errors.is_empty() {
            findings.problems.extend(errors.iter().map(|error| syntax(&name, &text, error)));
            // One mistake may cause several errors on its line.
            findings.problems.dedup_by(|next, problem| next.place == problem.place);
            // The rest of the file may mean something else than intended.
            return Layer::default();
        }
        let mut reading = Reading { text: &text, name: Some(&name), sections: BTreeMap::new(), findings };
        let settings = reading.table(settings.get_ref(), &[], Some(defaults));
        Layer { settings, sections: reading.sections }
    }
}

/// Unlike the library's own error, this one does not show the line, which may contain a secret.
fn syntax(name: &str, text: &str, error: &Error) -> Problem {
    let line = line(text, error.span().map_or(text.len(), |span| span.start));
    let place = Some(format!("{name}, line {line}"));
    Problem { key: String::new(), place, reason: error.message().to_owned() }
}

fn line(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

/// Reads TOML into a layer.
struct Reading<'a> {
    text: &'a str,
    /// None: the place is not recorded.
    name: Option<&'a str>,
    sections: BTreeMap<String, String>,
    findings: &'a mut Findings,
}

impl Reading<'_> {
    fn table(&mut self, table: &DeTable<'_>, path: &[&str], defaults: Option<&Table>) -> Map<String, Value> {
        let mut settings = Map::new();
        for (key, value) in table {
            let path = [path, &[key.get_ref().as_ref()]].concat();
            let place = self.name.map(|name| format!("{name}, line {}", line(self.text, key.span().start)));
            if let Some((today, unit)) = defaults.and_then(|defaults| old_keys::today(key.get_ref(), defaults)) {
                if table.contains_key(today.as_str()) || settings.contains_key(&today) {
                    self.refuse(&path, place, &twice(&today));
                } else if let Some(value) = self.old_key(value.get_ref(), &path, place, &today, unit) {
                    settings.insert(today, value);
                }
                continue;
            }
            if let Some(setting) = secret_files::setting(&path) {
                let default = defaults.and_then(|defaults| defaults.get(&setting));
                if table.contains_key(setting.as_str()) {
                    self.refuse(&path, place, &format!("is set beside {setting}: keep one of the two"));
                } else if let Some(value) = self.secret(value.get_ref(), &path, place, default) {
                    settings.insert(setting, value);
                }
                continue;
            }
            let default = defaults.and_then(|defaults| defaults.get(key.get_ref().as_ref()));
            let is_section = matches!(value.get_ref(), DeValue::Table(_));
            if path.len() == 1 && !is_name(key.get_ref()) {
                // The crate `config` would read dots and brackets as a path.
                self.refuse(&path, place, "there is no such setting");
            } else if default.is_some_and(toml::Value::is_table) && !is_section {
                self.refuse(&path, place, "must be a section");
            } else if let Some(value) = self.value(value.get_ref(), &path, place, default) {
                settings.insert(key.get_ref().clone().into_owned(), value);
            }
        }
        settings
    }

    fn value(
        &mut self,
        value: &DeValue<'_>,
        path: &[&str],
        place: Option<String>,
        default: Option<&toml::Value>,
    ) -> Option<Value> {
        let kind = match value {
            DeValue::String(text) => ValueKind::String(text.clone().into_owned()),
            DeValue::Boolean(value) => ValueKind::Boolean(*value),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => ValueKind::I64(number),
                Err(_) => return self.refuse(path, place, "must be a number from -2^63 to 2^63 - 1"),
            },
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => ValueKind::Float(number),
                Err(_) => return self.refuse(path, place, "must be a number"),
            },
            DeValue::Datetime(_) => return self.refuse(path, place, "must not be a date or a time"),
            DeValue::Array(elements) => {
                let elements = elements.iter();
                let elements = elements.map(|element| self.value(element.get_ref(), path, place.clone(), None));
                ValueKind::Array(elements.collect::<Option<_>>()?)
            }
            DeValue::Table(table) => {
                if let Some(place) = &place {
                    self.sections.insert(path.join("."), place.clone());
                }
                ValueKind::Table(self.table(table, path, default.and_then(toml::Value::as_table)))
            }
        };
        Some(Value::new(place.as_ref(), kind))
    }

    /// Translates an old key's value.
    fn old_key(
        &mut self,
        value: &DeValue<'_>,
        path: &[&str],
        place: Option<String>,
        today: &str,
        unit: &str,
    ) -> Option<Value> {
        let DeValue::Integer(number) = value else { return self.refuse(path, place, "must be an integer") };
        let Ok(number) = i64::from_str_radix(number.as_str(), number.radix()) else {
            return self.refuse(path, place, "must be a number from -2^63 to 2^63 - 1");
        };
        let value = old_keys::value(number, unit);
        if let (Some(place), Some((_, sections))) = (&place, path.split_last()) {
            let today = [sections, &[today]].concat().join(".");
            self.findings.old_keys.push(OldKey::in_file(&path.join("."), place, &today, &value));
        }
        Some(Value::new(place.as_ref(), ValueKind::String(value)))
    }

    /// Reads a secret from the file that the value names.
    fn secret(
        &mut self,
        value: &DeValue<'_>,
        path: &[&str],
        place: Option<String>,
        default: Option<&toml::Value>,
    ) -> Option<Value> {
        let DeValue::String(file) = value else { return self.refuse(path, place, "must be the path of a file") };
        let set = place.clone().unwrap_or_default();
        match secret(file, &path.join("."), &set, default, self.findings) {
            Ok(value) => Some(value),
            Err(reason) => self.refuse(path, place, &reason),
        }
    }

    fn refuse(&mut self, path: &[&str], place: Option<String>, reason: &str) -> Option<Value> {
        self.findings.problems.push(Problem { key: path.join("."), place, reason: reason.to_owned() });
        None
    }
}

/// Reads a secret, as a variable with that text would set it.
fn secret(
    file: &str,
    key: &str,
    place: &str,
    default: Option<&toml::Value>,
    findings: &mut Findings,
) -> Result<Value, String> {
    let read = secret_files::read(file)?;
    if read.is_public {
        findings.warnings.push(secret_files::warning(key, file, place));
    }
    Ok(typed(&read.text, default, &secret_files::place(file, place))?)
}

fn is_name(key: &str) -> bool {
    key.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}

/// The problem of an old key beside its new spelling.
fn twice(today: &str) -> String {
    format!("is the old spelling of {today}, and both are set: keep {today}")
}

/// Every variable that is a setting, as a layer.
pub(super) fn environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    defaults: &Table,
    findings: &mut Findings,
) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut set = BTreeMap::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        if NOT_SETTINGS.contains(&name) {
            continue;
        }
        let path: Vec<String> = name[PREFIX.len()..].to_lowercase().split("__").map(str::to_owned).collect();
        let place = format!("{name} in the environment");
        match variable(&path, &value, &place, defaults, findings) {
            Ok(Variable { path: today, value, spelling }) => {
                let is_other = !matches!(spelling, Spelling::Setting);
                if let Spelling::Old { text } = spelling {
                    let variable = format!("{PREFIX}{}", today.join("__").to_uppercase());
                    findings.old_keys.push(OldKey::in_environment(name, &variable, &text));
                }
                // Two spellings of a setting in the same layer: neither overrides the other.
                if let Some(other) = set.insert(today.clone(), is_other)
                    && (is_other || other)
                {
                    let reason =
                        "is also set by an old spelling, or by a file, in the environment: keep one of the two";
                    let (key, reason) = (today.join("."), reason.to_owned());
                    findings.problems.push(Problem { key, place: Some(place), reason });
                    continue;
                }
                layers.push(Layer { settings: nested(&today, value), sections: BTreeMap::new() });
            }
            Err(reason) => {
                let (key, place) = (path.join("."), Some(place));
                findings.problems.push(Problem { key, place, reason });
            }
        }
    }
    layers
}

/// A variable that is a setting.
struct Variable {
    /// The current key.
    path: Vec<String>,
    value: Value,
    spelling: Spelling,
}

/// How a variable sets its setting.
enum Spelling {
    /// By its current key.
    Setting,
    /// By an old key.
    Old {
        /// The value in the current spelling.
        text: String,
    },
    /// By the path of a file.
    File,
}

fn variable(
    path: &[String],
    value: &OsStr,
    place: &String,
    defaults: &Table,
    findings: &mut Findings,
) -> Result<Variable, String> {
    let text = || value.to_str().ok_or("is not UTF-8");
    let sections = path.split_last().and_then(|(last, sections)| Some((last, sections, section(sections, defaults)?)));
    if let Some((last, sections, section)) = sections {
        if let Some((today, unit)) = old_keys::today(last, section) {
            let number = text()?.parse().map_err(|_| "must be an integer")?;
            let text = old_keys::value(number, unit);
            let value = Value::new(Some(place), ValueKind::String(text.clone()));
            return Ok(Variable { path: [sections, &[today]].concat(), value, spelling: Spelling::Old { text } });
        }
        if let Some(setting) = secret_files::setting(path) {
            let value = secret(text()?, &path.join("."), place, section.get(&setting), findings)?;
            return Ok(Variable { path: [sections, &[setting]].concat(), value, spelling: Spelling::File });
        }
    }
    let value = typed(text()?, setting(path, defaults)?, place)?;
    Ok(Variable { path: path.to_owned(), value, spelling: Spelling::Setting })
}

/// The defaults of a section.
fn section<'a>(path: &[String], defaults: &'a Table) -> Option<&'a Table> {
    path.iter().try_fold(defaults, |section, key| section.get(key)?.as_table())
}

/// The default of a variable's setting. None: it has no default, or does not exist.
fn setting<'a>(path: &[String], defaults: &'a Table) -> Result<Option<&'a toml::Value>, &'static str> {
    let mut section = Some(defaults);
    let mut default = None;
    for (depth, key) in path.iter().enumerate() {
        if depth == 0 && !is_name(key) || default.is_some() && section.is_none() {
            return Err("there is no such setting");
        }
        default = section.and_then(|section| section.get(key));
        section = default.and_then(toml::Value::as_table);
    }
    Ok(default)
}

/// Parses a variable by the type of the setting's default. Without a default it is text.
fn typed(text: &str, default: Option<&toml::Value>, place: &String) -> Result<Value, &'static str> {
    let kind = match default {
        Some(toml::Value::Integer(_)) => ValueKind::I64(text.parse().map_err(|_| "must be an integer")?),
        Some(toml::Value::Float(_)) => ValueKind::Float(text.parse().map_err(|_| "must be a number")?),
        Some(toml::Value::Boolean(_)) => ValueKind::Boolean(text.parse().map_err(|_| "must be true or false")?),
        Some(toml::Value::Array(_)) => {
            let elements = text.split(',').map(str::trim).filter(|element| !element.is_empty());
            ValueKind::Array(elements.map(|element| Value::new(Some(place), element)).collect())
        }
        Some(toml::Value::Table(_)) => return Err("is a section, not a setting"),
        _ => ValueKind::String(text.to_owned()),
    };
    Ok(Value::new(Some(place), kind))
}

/// Nested tables with the value at that path.
fn nested(path: &[String], value: Value) -> Map<String, Value> {
    let Some((key, rest)) = path.split_first() else { return Map::new() };
    let value = if rest.is_empty() { value } else { Value::new(None, nested(rest, value)) };
    Map::from_iter([(key.clone(), value)])
}
