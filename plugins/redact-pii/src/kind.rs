//! What is found, and what each is called.

/// A kind of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Email,
    Phone,
    Card,
    Iban,
    Ip,
    Ssn,
    Person,
    Place,
    Organisation,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Email,
        Self::Phone,
        Self::Card,
        Self::Iban,
        Self::Ip,
        Self::Ssn,
        Self::Person,
        Self::Place,
        Self::Organisation,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Ip => "ip",
            Self::Ssn => "ssn",
            Self::Person => "person",
            Self::Place => "place",
            Self::Organisation => "organisation",
        }
    }

    /// Whether only a model finds it.
    pub(crate) fn is_of_model(self) -> bool {
        matches!(self, Self::Person | Self::Place | Self::Organisation)
    }

    /// What a label of a token-classification model stands for: those of CoNLL and of OntoNotes.
    pub(crate) fn of_label(label: &str) -> Option<Self> {
        let label = label.strip_prefix("B-").or_else(|| label.strip_prefix("I-")).unwrap_or(label);
        match label.to_ascii_uppercase().as_str() {
            "PER" | "PERSON" => Some(Self::Person),
            "LOC" | "LOCATION" | "GPE" | "FAC" => Some(Self::Place),
            "ORG" | "ORGANIZATION" | "ORGANISATION" => Some(Self::Organisation),
            _ => None,
        }
    }
}
