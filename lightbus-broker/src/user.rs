//! Who may log in, and what they may do.

use crate::{
    core::{Pattern, Rights},
    error::StartError,
};
use std::{collections::HashMap, fmt, sync::Arc};

/// Somebody who may log in.
///
/// Without a word about access, a user may do everything in every virtual host. The first [`access`](Self::access) ends
/// that: from then on, it is what was granted and nothing else.
///
/// ```
/// use lightbus_broker::{Broker, Permissions, User};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let reader = User::new("bob", "hidden").access("/", Permissions::none().read("^orders-.*"));
/// let broker = Broker::builder().user("ada", "secret").add_user(reader).start().await?;
/// # drop(broker); Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "a user does nothing until it is added to a broker"]
pub struct User {
    pub(crate) name: String,
    pub(crate) password: String,
    impersonates: bool,
    access: Option<HashMap<String, Permissions>>,
}

impl User {
    /// A user who may do everything everywhere.
    ///
    /// ```
    /// let user = lightbus_broker::User::new("ada", "secret");
    /// assert!(!format!("{user:?}").contains("secret"));
    /// ```
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            password: password.into(),
            impersonates: false,
            access: None,
        }
    }

    /// Grants access to a virtual host; what was granted there before is replaced.
    ///
    /// ```
    /// use lightbus_broker::{Permissions, User};
    ///
    /// let user = User::new("bob", "hidden").access("staging", Permissions::all());
    /// # drop(user);
    /// ```
    pub fn access(mut self, vhost: impl Into<String>, permissions: Permissions) -> Self {
        self.access
            .get_or_insert_default()
            .insert(vhost.into(), permissions);
        self
    }

    /// Gives a tag. Of RabbitMQ's, `impersonator` alone means something to a broker: such a user may put any name into a
    /// message's `user-id`. All others are for its management and mean nothing here.
    ///
    /// ```
    /// let user = lightbus_broker::User::new("bridge", "secret").tag("impersonator");
    /// # drop(user);
    /// ```
    pub fn tag(mut self, tag: &str) -> Self {
        self.impersonates |= tag == "impersonator";
        self
    }

    /// The one whose password everybody knows.
    pub(crate) fn is_guest(&self) -> bool {
        (self.name.as_str(), self.password.as_str()) == ("guest", "guest")
    }

    pub(crate) fn admit(self) -> Result<Account, StartError> {
        let read = |(vhost, permissions): (String, Permissions)| {
            permissions.rights().map(|rights| (vhost, Arc::new(rights)))
        };
        let access = self.access.map(|access| access.into_iter().map(read));
        Ok(Account {
            name: self.name,
            password: self.password,
            impersonates: self.impersonates,
            access: access.map(Iterator::collect).transpose()?,
        })
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

/// What a user may do in one virtual host: three regular expressions, for the names of queues and exchanges.
///
/// They are RabbitMQ's, and so is what each operation asks for. Known are literals, `.`, `[a-z]`, `[^…]`, groups, `|`,
/// `*`, `+`, `?`, `^`, `$`, and `\` before punctuation; anything else is refused when the broker starts. A pattern may fit
/// anywhere in a name unless it is anchored, the empty one fits nothing, and the default exchange is called `amq.default`.
///
/// ```
/// use lightbus_broker::Permissions;
///
/// let worker = Permissions::none()
///     .configure("^amq\\.gen.*")
///     .write("^(amq\\.gen.*|amq\\.default|orders)$")
///     .read(".*");
/// # drop(worker);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "permissions mean nothing until a user is granted them"]
pub struct Permissions {
    configure: String,
    write: String,
    read: String,
}

impl Permissions {
    /// Nothing, besides entering the virtual host.
    ///
    /// ```
    /// let nothing = lightbus_broker::Permissions::none();
    /// # drop(nothing);
    /// ```
    pub fn none() -> Self {
        Self {
            configure: String::new(),
            write: String::new(),
            read: String::new(),
        }
    }

    /// Everything.
    ///
    /// ```
    /// let everything = lightbus_broker::Permissions::all();
    /// # drop(everything);
    /// ```
    pub fn all() -> Self {
        Self::none().configure(".*").write(".*").read(".*")
    }

    /// What may be declared and deleted.
    ///
    /// ```
    /// let own = lightbus_broker::Permissions::none().configure("^mine-.*");
    /// # drop(own);
    /// ```
    pub fn configure(mut self, pattern: impl Into<String>) -> Self {
        self.configure = pattern.into();
        self
    }

    /// The exchanges to publish to, and the queues and exchanges to bind.
    ///
    /// ```
    /// let publisher = lightbus_broker::Permissions::none().write("^orders$");
    /// # drop(publisher);
    /// ```
    pub fn write(mut self, pattern: impl Into<String>) -> Self {
        self.write = pattern.into();
        self
    }

    /// The queues to consume from and to purge, and the exchanges to bind to.
    ///
    /// ```
    /// let reader = lightbus_broker::Permissions::none().read("^orders$");
    /// # drop(reader);
    /// ```
    pub fn read(mut self, pattern: impl Into<String>) -> Self {
        self.read = pattern.into();
        self
    }

    fn rights(self) -> Result<Rights, StartError> {
        let read = |pattern: String| {
            Pattern::parse(&pattern).map_err(|why| StartError::Pattern { pattern, why })
        };
        Ok(Rights {
            configure: read(self.configure)?,
            write: read(self.write)?,
            read: read(self.read)?,
        })
    }
}

/// A user as the core knows it.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) impersonates: bool,
    /// The rights in each virtual host; none is everything everywhere.
    pub(crate) access: Option<HashMap<String, Arc<Rights>>>,
}

impl Account {
    pub(crate) fn is_limited(&self) -> bool {
        self.access.is_some()
    }

    /// Who may log in where nobody else was named.
    pub(crate) fn guest() -> Self {
        Self {
            name: "guest".to_owned(),
            password: "guest".to_owned(),
            impersonates: false,
            access: None,
        }
    }
}
