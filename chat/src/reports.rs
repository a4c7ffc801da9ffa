//! Reports: viewers bring a message to the room's moderators. They hide nothing.

use serde::{Deserialize, Serialize};

use crate::body::User;
use crate::ids::EventId;

/// A user reports a message to the moderators of its room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageReported {
    /// The message.
    pub target: EventId,
    /// The user who reports it.
    pub by: User,
    /// What is wrong with the message: the name of a [`ReportCategory`], or of one of a later version.
    pub category: String,
    /// More about it, in that user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The reports of a message before this event are dealt with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportClosed {
    /// The message.
    pub target: EventId,
    /// The moderator or presenter.
    pub by: User,
    /// The reason, in that user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a report says is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportCategory {
    /// Advertising, floods, links that nobody asked for.
    Spam,
    /// Fraud, phishing.
    Scam,
    /// Insults or threats against a person.
    Harassment,
    /// Hatred of a group.
    Hate,
    /// Sexual content.
    Sexual,
    /// Glorified or threatened violence.
    Violence,
    /// Somebody may harm themselves.
    SelfHarm,
    /// Somebody's personal data.
    Privacy,
    /// Anything else.
    Other,
}

impl ReportCategory {
    /// All of them.
    pub const ALL: [ReportCategory; 9] = [
        ReportCategory::Spam,
        ReportCategory::Scam,
        ReportCategory::Harassment,
        ReportCategory::Hate,
        ReportCategory::Sexual,
        ReportCategory::Violence,
        ReportCategory::SelfHarm,
        ReportCategory::Privacy,
        ReportCategory::Other,
    ];

    /// The name, as the member `category` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            ReportCategory::Spam => "spam",
            ReportCategory::Scam => "scam",
            ReportCategory::Harassment => "harassment",
            ReportCategory::Hate => "hate",
            ReportCategory::Sexual => "sexual",
            ReportCategory::Violence => "violence",
            ReportCategory::SelfHarm => "self_harm",
            ReportCategory::Privacy => "privacy",
            ReportCategory::Other => "other",
        }
    }

    /// The category of that name.
    pub fn named(name: &str) -> Option<ReportCategory> {
        ReportCategory::ALL.into_iter().find(|category| category.as_str() == name)
    }
}
