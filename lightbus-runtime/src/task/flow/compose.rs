//! Tasks that follow one another, as the one who composes them sees it: typed by what comes of them.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use super::failed::FailedStep;
use super::output::Output;
use super::start::{self, EnqueueFlow};
use crate::bus::Bus;
use crate::task::results::DecodeDomain;
use crate::task::task::{Draft, RESULT_TTL, Task};

/// Tasks that follow one another: made of [`Task::then`], [`group`] and the like. `T` is the value of what comes last, and `E` its error. Nothing is sent until
/// [`enqueue`](Self::enqueue) is awaited; then all of it is stored on the broker, or nothing.
///
/// ```no_run
/// # use lightbus_runtime::{Bus, Input, Output, Task, group};
/// # struct Media;
/// # impl Media {
/// #     fn fetch(&self, url: impl Input<str>) -> Task<String, String> { todo!() }
/// #     fn resize(&self, file: impl Input<str>, width: impl Input<u32>) -> Task<String, String> { todo!() }
/// #     fn publish(&self, files: impl Input<Vec<String>>) -> Task<u64, String> { todo!() }
/// #     fn complain(&self, failed: impl Input<lightbus_runtime::FailedStep>) -> Task<(), String> { todo!() }
/// # }
/// # async fn example(media: Media) -> Result<(), Box<dyn std::error::Error>> {
/// let page = media
///     .fetch("https://…/cat.png")
///     .then(|file| group([200, 400, 800].map(|width| media.resize(file, width))))
///     .then(|files| media.publish(files))
///     .on_failure(|failed| media.complain(failed))
///     .keep_result()
///     .enqueue()
///     .await?;
/// println!("page {}", page.result().await?);
/// # Ok(()) }
/// ```
///
/// # How it runs
/// Each message carries what follows it. Whoever has done a task publishes the next one, with the value in it, before its own message is settled: there is no
/// coordinator that could be lost. A worker that is killed between the two does that task again, as any, and publishes what follows once more: from there on the tasks up to the next group run twice, under the
/// same message ids. So they have to be idempotent, as all tasks; a group counts each of its members once. Members of a group report to a queue of the API whose task follows the group (`lb.join.<api>`), where one worker of that API
/// puts their values together; when it is lost, another one takes over.
///
/// A task that is dead for good ends its flow: who waits for the result hears which one it was and why, and what [`on_failure`](Self::on_failure) names is run. If the
/// dead letter is replayed and succeeds, the flow goes on from there.
///
/// # Limits
/// - Every task of the flow gets the output of the one right before it, no other one's, and only as a whole argument.
/// - What follows a task takes up to 16 KiB in its message: give references to large values. The values of a group's members together, being an argument
///   of what follows, are limited by the bus's `payload_limit`, and so is a whole flow that begins with a group. A group has up to 100 000 members.
/// - A group that is not complete a week after the last of its members was heard of is given up.
/// - Groups within groups go eight deep. Unique tasks cannot take part. A schedule fires tasks; have one enqueue the flow.
/// - To cancel a flow ([`TaskHandle::cancel`](crate::TaskHandle::cancel)) keeps all its tasks of the last one's API from beginning. Those of other APIs before them still run.
#[must_use = "nothing is sent until `.enqueue().await`"]
pub struct Flow<T, E> {
    pub(super) plan: Plan,
    pub(super) decode_domain: DecodeDomain<E>,
    returns: PhantomData<fn() -> Result<T, E>>,
}

/// A flow without its types.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) row: Vec<Node>,
    /// The first mistake, told when it is enqueued.
    pub(super) mistake: Option<String>,
}

/// One in a row.
pub(super) enum Node {
    Task(Box<Draft>),
    Group {
        members: Vec<Plan>,
        ttl: Option<Duration>,
    },
    Each {
        each: Plan,
        ttl: Option<Duration>,
    },
    Rescue(Box<Draft>),
}

/// A [`Task`], or a [`Flow`] of them: what can follow, or be a member of a group.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can neither follow a task nor be a member of a group",
    label = "this is neither a task nor a flow"
)]
pub trait IntoFlow {
    /// What comes of it.
    type Value;
    /// How it fails.
    type Error;

    /// As a flow.
    fn into_flow(self) -> Flow<Self::Value, Self::Error>;
}

impl<T, E> IntoFlow for Flow<T, E> {
    type Value = T;
    type Error = E;

    fn into_flow(self) -> Self {
        self
    }
}

impl<T, E> IntoFlow for Task<T, E> {
    type Value = T;
    type Error = E;

    fn into_flow(self) -> Flow<T, E> {
        let plan = Plan {
            row: vec![Node::Task(Box::new(self.draft))],
            mistake: None,
        };
        Flow::new(plan, self.decode_domain)
    }
}

impl<T, E> Flow<T, E> {
    fn new(plan: Plan, decode_domain: DecodeDomain<E>) -> Self {
        Self {
            plan,
            decode_domain,
            returns: PhantomData,
        }
    }

    /// What to do next, with the output of this: see [`Task::then`].
    pub fn then<N: IntoFlow>(self, next: impl FnOnce(Output<T>) -> N) -> Flow<N::Value, N::Error> {
        let output = Output::new();
        let next = next(output).into_flow();
        Flow::new(self.plan.and(next.plan, output.of()), next.decode_domain)
    }

    /// What to do if a task before this is dead for good, with [`FailedStep`], which tells which one and why. Not for a flow that is cancelled. At least once, as any task;
    /// it is no part of what comes next, and its own failure is nobody's business but its dead letter's.
    pub fn on_failure<N, F>(
        mut self,
        rescue: impl FnOnce(Output<FailedStep>) -> Task<N, F>,
    ) -> Self {
        let output = Output::new();
        let draft = rescue(output).draft;
        self.plan.check(&draft.holes, output.of());
        self.plan.row.push(Node::Rescue(Box::new(draft)));
        self
    }

    /// Keeps what becomes of it, so that [`TaskHandle`](crate::TaskHandle) can tell: how many of its tasks and groups are done, and its result until an hour after its end, or for as long as the last task's `#[task(result_ttl)]` says.
    pub fn keep_result(self) -> Self {
        let last = self.plan.row.iter().rev();
        let mut last = last.filter(|node| !matches!(node, Node::Rescue(_)));
        let ttl = match last.next() {
            Some(Node::Task(draft)) => draft.spec.result_ttl,
            _ => None,
        };
        self.result_ttl(ttl.unwrap_or(RESULT_TTL))
    }

    /// The same, for so long after its end; at most seven days.
    pub fn result_ttl(mut self, ttl: Duration) -> Self {
        let last = self.plan.row.iter_mut().rev();
        let mut last = last.filter(|node| !matches!(node, Node::Rescue(_)));
        match last.next() {
            Some(Node::Task(draft)) => draft.options.result_ttl = Some(ttl),
            Some(Node::Group { ttl: kept, .. } | Node::Each { ttl: kept, .. }) => *kept = Some(ttl),
            Some(Node::Rescue(_)) | None => {}
        }
        self
    }

    /// Enqueues all of it when it is awaited. The handle is that of the last task, or of the group that comes last.
    pub fn enqueue(self) -> EnqueueFlow<T, E> {
        start::enqueue(self.plan, self.decode_domain)
    }
}

impl<X, E> Flow<Vec<X>, E> {
    /// What to do with each element of the list that this returns, all at once. What follows gets the list of their values, in the same order.
    ///
    /// ```no_run
    /// # use lightbus_runtime::{EnqueueError, Input, Task};
    /// # struct Media;
    /// # impl Media {
    /// #     fn list(&self, folder: impl Input<str>) -> Task<Vec<String>, String> { todo!() }
    /// #     fn resize(&self, file: impl Input<str>, width: impl Input<u32>) -> Task<String, String> { todo!() }
    /// #     fn publish(&self, files: impl Input<Vec<String>>) -> Task<u64, String> { todo!() }
    /// # }
    /// # async fn example(media: Media) -> Result<(), EnqueueError> {
    /// let pages = media.list("holidays").then_each(|file| media.resize(file, 200)).then(|files| media.publish(files));
    /// pages.enqueue().await?;
    /// # Ok(()) }
    /// ```
    pub fn then_each<N: IntoFlow>(
        mut self,
        each: impl FnOnce(Output<X>) -> N,
    ) -> Flow<Vec<N::Value>, N::Error> {
        let output = Output::new();
        let each = each(output).into_flow();
        let mut plan = Plan::default();
        plan.take_over(each.plan, output.of());
        self.plan.mistake = self.plan.mistake.or(plan.mistake.take());
        self.plan.row.push(Node::Each {
            each: plan,
            ttl: None,
        });
        Flow::new(self.plan, each.decode_domain)
    }
}

impl<T, E> Task<T, E> {
    /// What to do next, with this task's value: the next task gets it as one of its arguments, or ignores it. It is made now, and enqueued by the worker that has done
    /// this one. The two may be of different APIs.
    ///
    /// ```no_run
    /// # use lightbus_runtime::{EnqueueError, Input, Task};
    /// # struct Media;
    /// # impl Media {
    /// #     fn fetch(&self, url: impl Input<str>) -> Task<String, String> { todo!() }
    /// #     fn resize(&self, file: impl Input<str>, width: impl Input<u32>) -> Task<String, String> { todo!() }
    /// # }
    /// # async fn example(media: Media) -> Result<(), EnqueueError> {
    /// media.fetch("https://…").then(|file| media.resize(file, 200)).enqueue().await?;
    /// # Ok(()) }
    /// ```
    pub fn then<N: IntoFlow>(self, next: impl FnOnce(Output<T>) -> N) -> Flow<N::Value, N::Error> {
        self.into_flow().then(next)
    }

    /// What to do if this task is dead for good: see [`Flow::on_failure`].
    pub fn on_failure<N, F>(
        self,
        rescue: impl FnOnce(Output<FailedStep>) -> Task<N, F>,
    ) -> Flow<T, E> {
        self.into_flow().on_failure(rescue)
    }
}

impl<X, E> Task<Vec<X>, E> {
    /// What to do with each element of the list that this task returns: see [`Flow::then_each`].
    pub fn then_each<N: IntoFlow>(
        self,
        each: impl FnOnce(Output<X>) -> N,
    ) -> Flow<Vec<N::Value>, N::Error> {
        self.into_flow().then_each(each)
    }
}

/// Tasks, or flows of them, that run at the same time. What follows them all gets the list of their values, in their order.
///
/// ```no_run
/// # use lightbus_runtime::{Input, Task, group};
/// # struct Media;
/// # impl Media {
/// #     fn resize(&self, file: impl Input<str>, width: impl Input<u32>) -> Task<String, String> { todo!() }
/// # }
/// # async fn example(media: Media) -> Result<(), Box<dyn std::error::Error>> {
/// let files = ["a.png", "b.png"];
/// let resized = group(files.map(|file| media.resize(file, 200))).keep_result().enqueue().await?;
/// let paths: Vec<String> = resized.result().await?;
/// # Ok(()) }
/// ```
pub fn group<N: IntoFlow>(members: impl IntoIterator<Item = N>) -> Flow<Vec<N::Value>, N::Error> {
    let mut decode_domain: DecodeDomain<N::Error> = |_| {
        Err(crate::codec::DecodeError(
            "an empty group returns no error".to_owned(),
        ))
    };
    let mut mistake = None;
    let mut plans = Vec::new();
    for member in members {
        let mut member = member.into_flow();
        decode_domain = member.decode_domain;
        mistake = mistake.or(member.plan.mistake.take());
        plans.push(member.plan);
    }
    let row = vec![Node::Group {
        members: plans,
        ttl: None,
    }];
    Flow::new(Plan { row, mistake }, decode_domain)
}

impl Plan {
    pub(super) fn bus(&self) -> Option<&Bus> {
        self.row.iter().find_map(|node| match node {
            Node::Task(draft) | Node::Rescue(draft) => Some(&draft.bus),
            Node::Each { each, .. } => each.bus(),
            Node::Group { members, .. } => members.iter().find_map(Self::bus),
        })
    }

    /// What is wrong with it, when nothing comes before it.
    pub(super) fn mistake(&mut self) -> Option<String> {
        let alone = Output::<()>::new();
        let row = std::mem::take(&mut self.row);
        row.first()
            .into_iter()
            .for_each(|node| self.check_first(node, alone.of()));
        self.row = row;
        self.mistake.take()
    }

    /// Followed by `next`, which was made with the output `of` this.
    fn and(mut self, next: Self, of: u64) -> Self {
        self.take_over(next, of);
        self
    }

    fn take_over(&mut self, next: Self, of: u64) {
        self.mistake = self.mistake.take().or(next.mistake);
        let first = next.row.first();
        first
            .into_iter()
            .for_each(|node| self.check_first(node, of));
        self.row.extend(next.row);
    }

    /// The first ones get the output `of` what is before them, or none.
    fn check_first(&mut self, node: &Node, of: u64) {
        match node {
            Node::Task(draft) => self.check(&draft.holes, of),
            Node::Group { members, .. } => {
                let firsts = members.iter().filter_map(|member| member.row.first());
                firsts.for_each(|node| self.check_first(node, of));
            }
            // They come after something, which they were checked with.
            Node::Each { .. } | Node::Rescue(_) => {}
        }
    }

    fn check(&mut self, holes: &[u64], of: u64) {
        if holes.iter().any(|hole| *hole != of) {
            self.mistake.get_or_insert_with(|| {
                "it gets the output of a task that is not the one right before it. Have that one return what is needed further on".to_owned()
            });
        }
    }
}

impl<T, E> fmt::Debug for Flow<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("plan", &self.plan).finish()
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.row).finish()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(draft) => write!(f, "{}", draft.name()),
            Self::Group { members, .. } => f.debug_tuple("group").field(members).finish(),
            Self::Each { each, .. } => f.debug_tuple("each").field(each).finish(),
            Self::Rescue(draft) => write!(f, "on failure {}", draft.name()),
        }
    }
}
