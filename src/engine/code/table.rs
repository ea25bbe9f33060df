//! The one table of reason codes: name, class, what happened, why, what to do.
//!
//! To add a code, add an entry under its page; nothing else in the program lists codes. Never rename, reuse or
//! remove one. `summary` and `hint` are one line, lower-case, without a final period; `cause` is a few sentences.

use super::Class;

/// Makes the enumeration and its accessors from the table, so that neither can lack an entry of the other.
macro_rules! codes {
    ($($variant:ident = $name:literal, $class:ident {
        summary: $summary:literal,
        cause: $cause:literal,
        hint: $hint:literal,
    })+) => {
        /// Why a command ended as it did: stable for ever, printed as `reason` (core.md, section 8).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = concat!("`", $name, "`: ", $summary, ".")] $variant,)+
        }

        impl Code {
            /// Every code in the order of the pages.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stable name, in upper case with underscores.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The code of exactly this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }

            /// The class, which is the exit code.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class),+ }
            }

            /// What happened, in one line.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary),+ }
            }

            /// Why it happens, in one or a few sentences on one line.
            #[must_use]
            pub const fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause),+ }
            }

            /// What to do: a command or an action in one line.
            #[must_use]
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint),+ }
            }
        }
    };
}

codes! {
    // core.md, section 8
    Ok = "OK", Ok {
        summary: "the command did what it was asked",
        cause: "Every check that this command makes held, and what it had to record is durable.",
        hint: "nothing to do",
    }
    GitError = "GIT_ERROR", Failed {
        summary: "the repository could not be read or written",
        cause: "Git or its object database refused the operation: no repository here, an unsafe owner, an \
              unreadable object, an unsupported format, or a lock file that another process holds or left behind. \
              Nothing was decided.",
        hint: "repair what the message names, check with `git fsck`, then run the command again",
    }
    IoError = "IO_ERROR", Failed {
        summary: "a file or stream of the operating system could not be read or written",
        cause: "The system refused to open, read, write or make something durable: wrong path, no right, no space, \
              a closed pipe. Nothing was decided.",
        hint: "check the path, its rights and the free space, then run the command again",
    }
    ObjectMissing = "OBJECT_MISSING", Failed {
        summary: "an object that the decision needs is not in this repository",
        cause: "The clone is shallow or partial, or its object database is damaged. Absence in such a clone proves \
              nothing, so nothing was decided.",
        hint: "run `git fetch --unshallow`, or work in a complete clone",
    }
    Internal = "INTERNAL", Failed {
        summary: "the program met a state that it holds to be impossible",
        cause: "This is a defect of the program, not of the input. Nothing was decided.",
        hint: "report the message with `permit --version` and the command line",
    }
    DecisionBlock = "DECISION_BLOCK", Refused {
        summary: "the policy blocks the request",
        cause: "The rule that decided has the effect `block`, or no rule matched and the default is to block. The \
              denial is recorded; it is never executable.",
        hint: "run `permit eval --request FILE` to see which rule decided and why the others did not",
    }
    RoleForbidden = "ROLE_FORBIDDEN", Refused {
        summary: "this repository's role may not do that",
        cause: "Git configuration `permit.role` separates authorities: a `supervisor` issues, opens and records, \
              an `executor` verifies, uses and executes.",
        hint: "run the command where `git config permit.role` allows it",
    }
    PermitIdMismatch = "PERMIT_ID_MISMATCH", Unverified {
        summary: "the permit's id is not the hash of its content",
        cause: "The permit was changed after it was issued, or was never derived.",
        hint: "discard the file and take the permit from the stream with `permit show PERMIT_ID`",
    }
    NotIssued = "NOT_ISSUED", Unverified {
        summary: "the stream does not hold this permit",
        cause: "The event at the sequence that the permit claims is missing, is another permit's, or links \
              otherwise: the permit was forged, belongs to another repository, or the stream was not fetched.",
        hint: "run `permit sync`, then `permit show PERMIT_ID`; a permit that still is not there was never issued",
    }
    UnboundRequest = "UNBOUND_REQUEST", Unverified {
        summary: "the permit was issued for another request",
        cause: "The fingerprint of the request at hand is not the one that the permit is bound to: actor, \
              capability, operation, target or context differ.",
        hint: "pass the request that the permit was issued for, or run `permit issue --request FILE` for this one",
    }
    ActorMismatch = "ACTOR_MISMATCH", Unverified {
        summary: "the authenticated actor is not the request's actor",
        cause: "The caller passed with `--actor` an identity other than the request's `actor_id`.",
        hint: "pass a request whose `actor_id` is the authenticated actor",
    }
    ReplayMismatch = "REPLAY_MISMATCH", Unverified {
        summary: "deriving the record again gives other bytes",
        cause: "The same request, policy, review and position in the stream do not yield the recorded permit or \
              event: the record or its evidence was altered, or made by a program that does not keep the rules.",
        hint: "run `permit replay --permit-id PERMIT_ID` to see the first divergence field by field",
    }
    CommitNotGoverned = "COMMIT_NOT_GOVERNED", Unverified {
        summary: "the commit is not on the governed ref's first-parent chain",
        cause: "The policy that was to decide comes from a commit that the trust root never held as its tip, or no \
              trust root is configured where one is needed.",
        hint: "pass `--at` a commit of the governed ref, and check `git config permit.governedRef`",
    }
    StreamLost = "STREAM_LOST", Unverified {
        summary: "a stream that this repository knew is gone",
        cause: "The ref was deleted, or its clone was replaced, after events had been seen on it. A deleted stream \
              must not pass for an empty one.",
        hint: "fetch the stream from a clone you trust with `permit sync`, then run `permit verify-chain`",
    }
    ChainTampered = "CHAIN_TAMPERED", Unverified {
        summary: "a hash or link of the stream does not fit",
        cause: "An event does not hash to what is recorded for it, or does not link to the one before: the stream \
              was altered after it was written.",
        hint: "restore the stream from a clone you trust, then run `permit verify-chain`",
    }
    ChainForked = "CHAIN_FORKED", Unverified {
        summary: "the stream holds another history than the one that is known",
        cause: "The sequence of a known point is there with another hash, one sequence is there twice, or a local \
              tail contradicts the authority.",
        hint: "compare with `permit log` in a clone you trust, and find out who rewrote the stream",
    }
    ChainTruncated = "CHAIN_TRUNCATED", Unverified {
        summary: "events are missing at the beginning or the end of the stream",
        cause: "The stream does not start at sequence 0, is empty, or ends before a point that it is known to have \
              reached.",
        hint: "fetch the whole stream from a clone you trust, then run `permit verify-chain --checkpoint FILE`",
    }
    ChainMalformed = "CHAIN_MALFORMED", Unverified {
        summary: "the stream holds something that is no event in its one form",
        cause: "Bytes that do not parse, JSON that is not canonical, or a commit that is not of the fixed form: no \
              writer that keeps the rules makes these.",
        hint: "restore the stream from a clone you trust, then run `permit verify-chain`",
    }
    Expired = "EXPIRED", Stale {
        summary: "the stream has moved past the permit's range",
        cause: "A permit holds for a range of sequences of its stream, and the newest event lies beyond it.",
        hint: "run `permit issue --request FILE` for a new permit",
    }
    AlreadyUsed = "ALREADY_USED", Stale {
        summary: "the one-shot permit was used before",
        cause: "The stream holds a `permit.used` event of this permit; of any number of users exactly one succeeds.",
        hint: "run `permit issue --request FILE` for a new permit",
    }
    CommitMismatch = "COMMIT_MISMATCH", Stale {
        summary: "the permit is bound to another governed commit",
        cause: "The permit holds for one commit only, and the governed commit is a different one now.",
        hint: "run `permit issue --request FILE` at the present commit",
    }
    PolicyMismatch = "POLICY_MISMATCH", Stale {
        summary: "the policy has changed since the permit was issued",
        cause: "The hash of the policy in the governed commit is not the one that the permit was derived from.",
        hint: "run `permit issue --request FILE` under the present policy",
    }
    InvalidInput = "INVALID_INPUT", Invalid {
        summary: "an input does not have its strict form",
        cause: "A file or an argument is not canonicalizable JSON, has an unknown, missing or mistyped field, \
              holds a forbidden value, or is too large.",
        hint: "correct the place that the message names; `permit schema NAME` prints the form",
    }
    InvalidPolicy = "INVALID_POLICY", Invalid {
        summary: "the policy document does not hold to its rules",
        cause: "A field, matcher, grant or review type is malformed, an id is not unique, or the governed commit \
              holds more than one policy.",
        hint: "correct the place that the message names; `permit schema policy` prints the form",
    }
    InvalidRequest = "INVALID_REQUEST", Invalid {
        summary: "the request does not have its strict form",
        cause: "A field is unknown, missing, mistyped, empty, too long, or holds a control character.",
        hint: "correct the place that the message names; `permit schema request` prints the form",
    }
    InvalidPermit = "INVALID_PERMIT", Invalid {
        summary: "the permit does not have its strict form",
        cause: "The file is no permit: a field is unknown, missing or mistyped, or fields contradict each other.",
        hint: "take the permit from the stream with `permit show PERMIT_ID`",
    }
    AmbiguousMapping = "AMBIGUOUS_MAPPING", Invalid {
        summary: "rules with different effects tie and the policy refuses to choose",
        cause: "Several rules are left after the conflict mode, their effects differ, and the policy's tie breaker \
              is `fail_closed`.",
        hint: "run `permit eval --request FILE` to see the rules, then make one of them decide in the policy",
    }
    PolicyMissing = "POLICY_MISSING", Invalid {
        summary: "the governed commit holds no policy",
        cause: "There is no file under `governance/policy/` in the commit that was evaluated; the work tree and \
              the index do not count.",
        hint: "run `permit init`, commit what it made, or pass `--at` a commit that has a policy",
    }
    StreamMissing = "STREAM_MISSING", Invalid {
        summary: "the stream does not exist in this repository",
        cause: "A stream is never created silently; a plain clone does not fetch `refs/permit/*`.",
        hint: "run `permit sync` to fetch it, or `permit stream open ID` to begin it",
    }
    StreamExists = "STREAM_EXISTS", Invalid {
        summary: "a stream of this id exists already",
        cause: "A stream is opened once; it is never opened again and never overwritten.",
        hint: "use the stream as it is, or open another with `permit stream open ID`",
    }
    Contention = "CONTENTION", Moved {
        summary: "other writers won every try to append",
        cause: "The stream's tip moved between reading and writing, more often than the program tries again. \
              Nothing was appended.",
        hint: "run the command again",
    }

    // reviews.md
    ReviewRejected = "REVIEW_REJECTED", Refused {
        summary: "the reviewers rejected the request",
        cause: "A valid review of this request carries the verdict `reject`.",
        hint: "stop, or change the request and ask again with `permit review new`",
    }
    ReviewMissing = "REVIEW_MISSING", Pending {
        summary: "a review is required and the governed commit holds none",
        cause: "The policy maps the request to `review`, and there is no artifact under the expected path.",
        hint: "ask the reviewers for `permit review new` and `permit review sign`, commit the artifact, then issue \
              again",
    }
    ReviewDeferred = "REVIEW_DEFERRED", Pending {
        summary: "the reviewers deferred the decision",
        cause: "A valid review of this request carries the verdict `defer`.",
        hint: "ask the reviewers to decide, and replace the artifact once they did",
    }
    ReviewSignersInsufficient = "REVIEW_SIGNERS_INSUFFICIENT", Pending {
        summary: "not enough distinct people signed the review",
        cause: "The review type asks for more distinct active humans with distinct keys than have signed.",
        hint: "ask another reviewer for `permit review sign ID --as PRINCIPAL`",
    }
    ManifestMissing = "MANIFEST_MISSING", Pending {
        summary: "the manifest that the review names is not in the governed commit",
        cause: "A review ties its decision to bytes by a manifest envelope, and that file is absent.",
        hint: "run `permit manifest new PATH… --purpose TEXT`, and commit the envelope with the review",
    }
    ReviewMismatch = "REVIEW_MISMATCH", Unverified {
        summary: "the review is for another decision",
        cause: "The file's name, its `review_id` and its three inputs do not agree, or are not those of the \
              request and policy at hand.",
        hint: "run `permit review check ID`, then make a review for this request with `permit review new`",
    }
    ReviewSignatureInvalid = "REVIEW_SIGNATURE_INVALID", Unverified {
        summary: "a signature on the review does not verify",
        cause: "The signature is malformed, by another key, in another namespace, or over other bytes: the review \
              was changed after it was signed.",
        hint: "have the person sign the present bytes again with `permit review sign ID --as PRINCIPAL`",
    }
    ReviewAgentForbidden = "REVIEW_AGENT_FORBIDDEN", Unverified {
        summary: "an agent or a service stands where only a human may",
        cause: "The reviewer or a signer is of the kind `automated_agent` or `service`: no agent mints a \
              production decision.",
        hint: "have a human review and sign with `permit review sign ID --as PRINCIPAL`",
    }
    ReviewSelfApproval = "REVIEW_SELF_APPROVAL", Unverified {
        summary: "the request's own actor signed its review",
        cause: "Nobody approves what they asked for: the `actor_id` of the request is among the signers.",
        hint: "have somebody else review and sign with `permit review sign ID --as PRINCIPAL`",
    }
    ReviewRoleInvalid = "REVIEW_ROLE_INVALID", Unverified {
        summary: "the reviewer may not review this",
        cause: "The reviewer does not hold the stated role, or the policy's review type does not admit it.",
        hint: "have a principal with an admitted role review; `permit review check ID` lists them",
    }
    ReviewReviewerUnsigned = "REVIEW_REVIEWER_UNSIGNED", Unverified {
        summary: "the reviewer did not sign the review",
        cause: "The principal that the artifact names as its reviewer is not one of its signers.",
        hint: "have the reviewer sign with `permit review sign ID --as PRINCIPAL`",
    }
    ReviewTestScope = "REVIEW_TEST_SCOPE", Unverified {
        summary: "the review was made for tests",
        cause: "An artifact of scope `test_scope` is never an approval.",
        hint: "make a production review with `permit review new`, without `--test-scope`",
    }
    ReviewScopeMismatch = "REVIEW_SCOPE_MISMATCH", Unverified {
        summary: "the review's scope address is not the request's",
        cause: "The artifact addresses another capability or target than the one that is requested.",
        hint: "make a review for this request with `permit review new --request FILE`",
    }
    ReviewAnchorMismatch = "REVIEW_ANCHOR_MISMATCH", Unverified {
        summary: "the review's anchor is not on the stream",
        cause: "The point that the reviewers saw is on another stream, or holds another event than they saw.",
        hint: "issue on the stream that the review names, or review again at the present tip",
    }
    ReviewConditionViolated = "REVIEW_CONDITION_VIOLATED", Unverified {
        summary: "the request does not keep the review's conditions",
        cause: "The review approves with conditions that this request or its grant cannot satisfy.",
        hint: "run `permit review check ID` to see the conditions, then narrow the request or review again",
    }
    ReviewPresenceMissing = "REVIEW_PRESENCE_MISSING", Unverified {
        summary: "a signature does not prove that its signer was present",
        cause: "A hardware key's signature lacks the user-presence bit, or the review type asks for a hardware key \
              and another one signed.",
        hint: "sign again with a hardware key that is touched: `permit review sign ID --as PRINCIPAL --key FILE`",
    }
    ManifestMismatch = "MANIFEST_MISMATCH", Unverified {
        summary: "the manifest does not fit its id or its artifacts",
        cause: "The envelope's id is not the hash of its content, or an artifact has another SHA-256 or size in \
              the governed commit: what was approved has changed.",
        hint: "run `permit manifest check ID`, and review the present bytes again",
    }
    PrincipalUnknown = "PRINCIPAL_UNKNOWN", Unverified {
        summary: "a named person is not in the principals table",
        cause: "The table that judges has no principal of this id, or not with this key.",
        hint: "add the principal to `governance/principals.json` in an earlier, reviewed change",
    }
    PrincipalRevoked = "PRINCIPAL_REVOKED", Unverified {
        summary: "a named person or key no longer counts",
        cause: "The principal is revoked, or its key was removed, in the table that judges or in the governed \
              commit's.",
        hint: "have an active principal sign with `permit review sign ID --as PRINCIPAL`",
    }
    SelfAppointment = "SELF_APPOINTMENT", Unverified {
        summary: "a signer was appointed by the change that they approve",
        cause: "The signer or its key is not yet in the table of the commit before the review came in: nobody \
              appoints themselves.",
        hint: "land the principals table first, in its own reviewed change, then review",
    }
    ReviewConsumed = "REVIEW_CONSUMED", Stale {
        summary: "the review has approved as often as it may",
        cause: "A review yields one permit after its anchor and covers one change of governance, or as many as its \
              `reusable` condition says.",
        hint: "ask for a new review anchored at the present tip with `permit review new`",
    }
    InvalidReview = "INVALID_REVIEW", Invalid {
        summary: "the review artifact does not have its strict form",
        cause: "A field is unknown, missing or mistyped, a condition is unknown, or the signatures and the list of \
              signers contradict each other.",
        hint: "correct the place that the message names; `permit schema review` prints the form",
    }
    InvalidPrincipals = "INVALID_PRINCIPALS", Invalid {
        summary: "the principals table does not hold to its rules",
        cause: "An id, kind, role, status or key is malformed, or an id or key is there twice. A malformed table \
              is never treated as absent.",
        hint: "correct the place that the message names; `permit schema principals` prints the form",
    }
    InvalidManifest = "INVALID_MANIFEST", Invalid {
        summary: "the manifest envelope does not have its strict form",
        cause: "A field is unknown, missing or mistyped, or the artifacts are not sorted, unique, relative paths \
              of regular files.",
        hint: "make it again with `permit manifest new PATH… --purpose TEXT`",
    }
    PrincipalsMissing = "PRINCIPALS_MISSING", Invalid {
        summary: "there is no principals table to judge by",
        cause: "The commit before the review came in holds no table, though an earlier one did, or the governed \
              commit holds none.",
        hint: "restore `governance/principals.json` in a reviewed change before the review",
    }

    // execution-requests.md
    ApprovalInRequest = "APPROVAL_IN_REQUEST", Invalid {
        summary: "an execution request claims to be an approval",
        cause: "One of `approval_granted`, `execution_allowed` and `runtime_default_activation` is not `false`. \
              Approval lives in the review ledger, permission in a permit, and nowhere else.",
        hint: "set all three to `false`, and ask for the approval with `permit review new`",
    }
    PacketMismatch = "PACKET_MISMATCH", Unverified {
        summary: "recorded bytes do not fit their recorded digest",
        cause: "The approval packet's content, or a proof that the record points at, is not what its SHA-256 says.",
        hint: "run `permit request check ID`, and make a new record from the exact bytes",
    }
    RepositoryNotAdmitted = "REPOSITORY_NOT_ADMITTED", Refused {
        summary: "the policy does not admit the target repository",
        cause: "The record's `target_repository` is not one of the policy's `admitted_repositories`.",
        hint: "have the repository admitted by a reviewed policy change, or name an admitted one",
    }
    ActionBlocked = "ACTION_BLOCKED", Refused {
        summary: "the record blocks the very action that it requests",
        cause: "The request's capability falls under one of the record's own `blocked_actions`.",
        hint: "make a new record with `permit request new` that does not block what it needs",
    }
    ApproverMissing = "APPROVER_MISSING", Pending {
        summary: "somebody whose approval the record asks for has not signed",
        cause: "Every one of `required_approvers` must be among the review's valid signers.",
        hint: "run `permit request show ID`, and ask who is missing for `permit review sign`",
    }
    RequestIdMismatch = "REQUEST_ID_MISMATCH", Unverified {
        summary: "the record's id is not the hash of its content",
        cause: "The record was changed after it was made, or its file bears another name. A record never changes: \
              another wording is another record.",
        hint: "restore the file from Git, or make a new record with `permit request new`",
    }
    InvalidExecutionRequest = "INVALID_EXECUTION_REQUEST", Invalid {
        summary: "the execution request does not have its strict form",
        cause: "A field is unknown, missing or mistyped, or a path, glob, blocked action or approver is not \
              allowed there.",
        hint: "correct the place that the message names; `permit schema execution_request` prints the form",
    }
    ApproverNotHuman = "APPROVER_NOT_HUMAN", Unverified {
        summary: "an approver that the record asks for is no human",
        cause: "Only principals of the kind `human` may be required as approvers.",
        hint: "make a new record with `permit request new` that names human approvers",
    }
    ReviewNotRequired = "REVIEW_NOT_REQUIRED", Refused {
        summary: "the policy does not map the record's request to a review",
        cause: "An execution request is never executed without the approval that it asks for, so its severity must \
              be `review`.",
        hint: "run `permit eval --request FILE`, and have the policy map the request to `review`",
    }

    // enforcement.md
    ModeNotSet = "MODE_NOT_SET", Invalid {
        summary: "the boundary does not know its mode",
        cause: "Neither `ENFORCEMENT_MODE` nor `--mode` is given, and a boundary that does not know its mode blocks.",
        hint: "set `ENFORCEMENT_MODE` to `off`, `shadow` or `enforce`",
    }
    ModeInvalid = "MODE_INVALID", Invalid {
        summary: "the enforcement mode is no known word or contradicts itself",
        cause: "The mode is not one of `off`, `shadow` and `enforce`, or `ENFORCEMENT_MODE` and `--mode` differ.",
        hint: "set `ENFORCEMENT_MODE`, or `--mode`, to one of `off`, `shadow` and `enforce`",
    }
    FirstParentBroken = "FIRST_PARENT_BROKEN", Unverified {
        summary: "the old tip is not on the new tip's first-parent chain",
        cause: "The push rewinds the governed ref, or merges it as a side line, so that commits would escape \
              judgement.",
        hint: "rebase onto the governed ref, or merge into it with its tip as the first parent",
    }
    EventNotAllowed = "EVENT_NOT_ALLOWED", Unverified {
        summary: "the push carries an event or ref that may not be there",
        cause: "The event's type or state is not allowed at this point of the stream, or the ref under \
              `refs/permit/` is no stream.",
        hint: "push only what `permit issue`, `permit use`, `permit exec` and `permit review record` appended",
    }
    StreamRewrite = "STREAM_REWRITE", Refused {
        summary: "the push rewrites an append-only ref",
        cause: "A stream of events or attestations only ever grows.",
        hint: "run `permit sync`, and push without force",
    }
    StreamDelete = "STREAM_DELETE", Refused {
        summary: "the push deletes a stream",
        cause: "A stream is never deleted: what it recorded is evidence.",
        hint: "keep the stream, and begin another with `permit stream open ID`",
    }
    GovernanceUnreviewed = "GOVERNANCE_UNREVIEWED", Refused {
        summary: "the push changes governance without a review of exactly this change",
        cause: "No review in the push or before it covers every changed path with its bytes before and after.",
        hint: "run `permit guard plan --base REV --head REV`, and have the printed request reviewed",
    }
    ReviewImmutable = "REVIEW_IMMUTABLE", Refused {
        summary: "the push changes a review that is still valid",
        cause: "A review artifact may be replaced only once it is not valid any longer, and only by one that is.",
        hint: "leave the artifact as it is; run `permit review check ID` to see its state",
    }
    RecordImmutable = "RECORD_IMMUTABLE", Refused {
        summary: "the push changes or deletes a record",
        cause: "Requests and manifests never change, and with reviews are never deleted: another wording is \
              another record.",
        hint: "restore the file, and add a new record with `permit request new` or `permit manifest new`",
    }
    ReplaceForbidden = "REPLACE_FORBIDDEN", Refused {
        summary: "the push replaces objects",
        cause: "Refs under `refs/replace/` and grafts make Git show another history than the one that was judged.",
        hint: "remove `refs/replace/` from the push",
    }
    PermitRequired = "PERMIT_REQUIRED", Refused {
        summary: "the push needs a permit that is not there",
        cause: "`governance/enforcement.json` demands a usable permit for the refs and paths that are touched.",
        hint: "run `permit guard plan --base REV --head REV`, then `permit issue --request FILE` on the named stream",
    }
    GovernanceUngoverned = "GOVERNANCE_UNGOVERNED", Refused {
        summary: "the policy would leave governance without review",
        cause: "A policy that does not map the governance change request to `review` protects nothing, itself \
              included.",
        hint: "add a `review` rule for `tool:governance.change`, operation `change`, target `governance`",
    }
    GovernedRefDeleted = "GOVERNED_REF_DELETED", Refused {
        summary: "the push deletes the governed ref",
        cause: "The governed ref is the trust root of every decision in this repository.",
        hint: "keep the ref; name another trust root first: `permit trust REF --commit OID --replace OLD --reason TEXT`",
    }
    ArgvMismatch = "ARGV_MISMATCH", Refused {
        summary: "the command line is not the one that was approved",
        cause: "The arguments differ from the request's `context.argv`, or from the record's harness.",
        hint: "run exactly the approved arguments; `permit show PERMIT_ID` prints them",
    }
    PathNotAllowed = "PATH_NOT_ALLOWED", Refused {
        summary: "the run touched, or could reach, a path that it may not",
        cause: "A file, ref, hook or setting outside `allowed_paths` changed, or a symlink leads out of them. \
              Nothing was undone.",
        hint: "inspect the listed paths and restore them; widen `allowed_paths` only in a new record",
    }
    TargetCommitMismatch = "TARGET_COMMIT_MISMATCH", Stale {
        summary: "the target checkout is at another commit than the recorded one",
        cause: "What was approved is a run on one commit of the target repository.",
        hint: "check out the recorded commit in the target; `permit request show ID` prints it",
    }
    TargetDirty = "TARGET_DIRTY", Stale {
        summary: "the target checkout holds changes or extra files",
        cause: "A run starts from exactly the recorded commit, ignored files included.",
        hint: "use a fresh clone, or run `git clean -ndx` in the target and remove what it lists",
    }

    // hap.md, section 11 and the page's additions
    MissingRequiredDomain = "MISSING_REQUIRED_DOMAIN", Pending {
        summary: "a required domain has no valid attestation",
        cause: "The execution path asks for an owner of each of its domains, and one has not attested to this \
              context.",
        hint: "run `permit hap request` for the domain, and have its owner sign",
    }
    DomainScopeMismatch = "DOMAIN_SCOPE_MISMATCH", Unverified {
        summary: "an attestation is for another domain or environment",
        cause: "The resolved domains of the attestation do not cover what is required here.",
        hint: "have the owner attest for this domain and environment with `permit hap request`",
    }
    ExecutionContextViolation = "EXECUTION_CONTEXT_VIOLATION", Unverified {
        summary: "the execution context is not the one of the commit",
        cause: "The context that was attested to differs from the one computed from base and head, or cannot be \
              computed.",
        hint: "run `permit hap context --base REV --head REV --repo NAME`, and attest to what it prints",
    }
    DecisionRecordMissing = "DECISION_RECORD_MISSING", Invalid {
        summary: "the attested commit holds no decision record",
        cause: "There is no regular file `.hap/decision.json` in the head commit; the work tree does not count.",
        hint: "commit `.hap/decision.json` with `profile` and `execution_path`",
    }
    DecisionRecordInvalid = "DECISION_RECORD_INVALID", Invalid {
        summary: "the decision record does not have its strict form",
        cause: "It holds something other than `profile` and `execution_path`, or a path that the profile does not \
              know.",
        hint: "correct `.hap/decision.json`; `permit hap profiles` lists profiles and paths",
    }
    FrameHashMismatch = "FRAME_HASH_MISMATCH", Unverified {
        summary: "an attestation is for another frame",
        cause: "The attested frame is not the one of this repository, commit, environment, profile and path.",
        hint: "run `permit hap frame`, and attest to this frame with `permit hap request`",
    }
    InvalidSignature = "INVALID_SIGNATURE", Unverified {
        summary: "the attestation is not signed by a trusted provider",
        cause: "The signature does not verify over the payload with any key that is trusted here.",
        hint: "check the provider's key with `permit hap sp pubkey`, and have the owner attest again",
    }
    TtlExpired = "TTL_EXPIRED", Stale {
        summary: "the attestation's time has passed, or does not fit the profile",
        cause: "It has expired, is dated in the future, or lasts longer than the profile allows.",
        hint: "have the owner attest again with `permit hap request` and `permit hap attest`",
    }
    MalformedAttestation = "MALFORMED_ATTESTATION", Unverified {
        summary: "the attestation does not have its strict form",
        cause: "The blob, its JSON, its header, its version or a field of its payload is not what the protocol \
              fixes.",
        hint: "inspect it with `permit hap show FILE`, and have the owner attest again",
    }
    ProfileNotFound = "PROFILE_NOT_FOUND", Invalid {
        summary: "the profile is not known here",
        cause: "No profile of exactly this id is in the base commit or ships with the program.",
        hint: "name a profile that `permit hap profiles` lists",
    }
    ProfileInvalid = "PROFILE_INVALID", Invalid {
        summary: "the profile does not hold to its rules",
        cause: "A path without required domains, an unknown source, a bad pattern or another malformed field: such \
              a profile authorizes nothing.",
        hint: "correct the place that the message names in `governance/hap/profiles/`",
    }
    ScopeInsufficient = "SCOPE_INSUFFICIENT", Refused {
        summary: "the person has no authority for this domain and environment",
        cause: "The DID is not an owner of the domain in the base commit, or its grant is absent, revoked or \
              expired.",
        hint: "run `permit hap authority history DID`, and have an owner of the domain attest",
    }
    IdentityUnverified = "IDENTITY_UNVERIFIED", Unverified {
        summary: "nobody proved to be the person that the attestation names",
        cause: "No SSH signature by an allowed signer and no externally verified DID establishes who attests.",
        hint: "sign with an allowed key, `ssh-keygen -Y sign -n hap-attest@v0.3`, and pass `--signature FILE`",
    }
    OrganizationNotRegistered = "ORGANIZATION_NOT_REGISTERED", Refused {
        summary: "no registered organization holds this repository and profile",
        cause: "The registry of the base commit does not list the repository, or not with this profile.",
        hint: "run `permit hap onboard`, and land the registry in a reviewed change",
    }
    AuthorizationSourceMissing = "AUTHORIZATION_SOURCE_MISSING", Invalid {
        summary: "there is nothing that says who owns which domain",
        cause: "The base commit lacks the file that confers authority, and first adoption does not apply.",
        hint: "commit `.hap/owners.json` to the governed ref; `permit hap owners --at REV` shows it",
    }
    AuthorizationSourceInvalid = "AUTHORIZATION_SOURCE_INVALID", Invalid {
        summary: "a file that confers authority does not hold to its rules",
        cause: "Owners, providers, registry or allowed signers are malformed, hold a wildcard, or share a key. \
              Such a file is never treated as absent.",
        hint: "correct the place that the message names; `permit hap owners --at REV` checks it",
    }
    GateUnresolved = "GATE_UNRESOLVED", Refused {
        summary: "a decision gate is open",
        cause: "Problem, objective or tradeoffs, where the profile requires them, hold nothing but white space.",
        hint: "have the owner state it in own words, and pass the file to `permit hap request`",
    }
    GateMismatch = "GATE_MISMATCH", Unverified {
        summary: "the text is not the one that was attested to",
        cause: "The hash of the given problem, objective or tradeoffs differs from the attestation's.",
        hint: "pass the exact bytes to `permit hap gate verify --attestation FILE`",
    }
    StreamSequenceBroken = "STREAM_SEQUENCE_BROKEN", Unverified {
        summary: "the decision stream's sequence has a gap or a repetition",
        cause: "Registrations count up by one from 1, and one here does not.",
        hint: "fetch the stream from a clone you trust, then run `permit hap stream verify PROJECT`",
    }
    StreamHashMismatch = "STREAM_HASH_MISMATCH", Unverified {
        summary: "a registration does not link to the one before",
        cause: "The previous hash is not that of the previous attestation: the stream was altered or its history \
              replaced.",
        hint: "fetch the stream from a clone you trust, then run `permit hap stream verify PROJECT`",
    }
    StreamProjectMismatch = "STREAM_PROJECT_MISMATCH", Unverified {
        summary: "a registration belongs to another project",
        cause: "All registrations of a decision stream carry the same `project_id`.",
        hint: "append to the right stream with `permit hap stream append PROJECT`",
    }
    StreamMalformed = "STREAM_MALFORMED", Unverified {
        summary: "the decision stream holds something that is no registration",
        cause: "A record or its commit does not parse or is not of the fixed form.",
        hint: "fetch the stream from a clone you trust, then run `permit hap stream verify PROJECT`",
    }
    StreamGenesisInvalid = "STREAM_GENESIS_INVALID", Unverified {
        summary: "the decision stream does not begin as a first registration must",
        cause: "The registration of sequence 1 names a previous one.",
        hint: "fetch the stream from a clone you trust, then run `permit hap stream verify PROJECT`",
    }
    StreamTimeRegression = "STREAM_TIME_REGRESSION", Unverified {
        summary: "a registration is dated before the one it follows",
        cause: "The provider sets the time of each registration, and it never runs backwards.",
        hint: "check the provider's clock and log, then run `permit hap stream verify PROJECT`",
    }
    StreamEmpty = "STREAM_EMPTY", Unverified {
        summary: "the decision stream holds no registration",
        cause: "There is nothing that could be verified: an absent history proves nothing.",
        hint: "fetch `refs/hap/*`, or register first with `permit hap stream append PROJECT`",
    }
    RegistrationInvalid = "REGISTRATION_INVALID", Unverified {
        summary: "a registration is not signed by a trusted provider",
        cause: "The provider's signature over the record, or the attestation within, does not verify.",
        hint: "run `permit hap stream verify PROJECT` with the provider's key, and have it register again",
    }

    // hardening.md
    Ungoverned = "UNGOVERNED", Invalid {
        summary: "no governed ref is named, so that nothing here says who governs",
        cause: "Whatever decides, records or executes needs a trust root: the ref whose first-parent chain holds policy, reviews and \
              people. This repository's own configuration names none.",
        hint: "run `permit trust REF --commit OID`, or say `--ungoverned` and have every output say so",
    }
    GovernedStale = "GOVERNED_STALE", Stale {
        summary: "the governed state is not the one that is in force now",
        cause: "Policy, people or whatever else the decision read differs at the governed ref's tip, the ref went back behind a tip \
              that was seen here, or another base than that tip was given. What was withdrawn is not used again.",
        hint: "fetch the governed ref, update the branch, or run `permit sync`, then decide at the tip",
    }
    PushTooLarge = "PUSH_TOO_LARGE", Refused {
        summary: "the push is larger than the boundary judges",
        cause: "It appends more events, or changes more paths, than one push may. A boundary judges within a bound of time and memory, \
              and what it cannot judge it denies.",
        hint: "split the push, or raise `permit.maxEventsPerPush` on the server",
    }
    LimitExceeded = "LIMIT_EXCEEDED", Invalid {
        summary: "an input is larger than its limit",
        cause: "The regular expressions of one policy share one budget of compiled size, and each pattern has a budget of states.",
        hint: "simplify the pattern that the message names, or use `prefix` or `exact`",
    }
    Moved = "MOVED", Moved {
        summary: "a ref has another value than the one that was named or judged",
        cause: "The old value that a push states is not the ref's, or another writer moved a ref between the judgement and the update. \
              Nothing landed.",
        hint: "run `git fetch` and push again",
    }
    PermitClaimed = "PERMIT_CLAIMED", Stale {
        summary: "the permit was claimed by another push",
        cause: "A one-shot permit lets exactly one update of one ref through; a claim of it stands in the server's folder of claims.",
        hint: "issue a new permit for this update, then push again",
    }
    StreamRewound = "STREAM_REWOUND", Unverified {
        summary: "the stream went back behind an event that was seen here",
        cause: "The ref does not contain the newest tip that this clone remembers: the stream was rewound, replaced, or restored from \
              an old backup.",
        hint: "find out who moved the ref and restore it; `permit stream forget ID --reason TEXT` gives up what was seen",
    }
    ClaimsLost = "CLAIMS_LOST", Unverified {
        summary: "the server's claims of permits are missing or are not its own",
        cause: "The folder of claims is gone, or its id is not the one that the configuration names: which permits were used is not \
              known any more.",
        hint: "restore `permit-claims/` from a backup, or run `permit guard claims reset --reason TEXT`",
    }
    ProgramMismatch = "PROGRAM_MISMATCH", Refused {
        summary: "the program is not the one that was permitted",
        cause: "The request names the SHA-256 of its program, and the file that would run has another one.",
        hint: "compare the file with the request's `program_sha256`, then request again",
    }
    ExecNotCovered = "EXEC_NOT_COVERED", Refused {
        summary: "no rule or review covers what would run",
        cause: "Under `allow` or `warn` a permit runs only what its rule's `exec` member covers, or a shell command that is the \
              request's own target. Program arguments in the context were matched by nobody.",
        hint: "add an `exec` member to the rule, or map the request to a review",
    }
    ExecTimeout = "EXEC_TIMEOUT", Failed {
        summary: "the program ran longer than its timeout",
        cause: "The request's `context.timeout`, or `permit.exec.timeout`, was over, and everything that was left was ended.",
        hint: "raise the timeout, or make the program faster, then request a new permit",
    }
    ContainmentUnavailable = "CONTAINMENT_UNAVAILABLE", Failed {
        summary: "a required measure of containment is not to be had here",
        cause: "Containment is `required`, and a probe found that this system does not provide a measure. Nothing was claimed and \
              nothing ran.",
        hint: "use a kernel that has what the message names, or `--containment best-effort`",
    }
    // policy.md
    LintDenied = "LINT_DENIED", Refused {
        summary: "a denied lint was found",
        cause: "The policy is valid, and `--deny` names a finding that it has.",
        hint: "change what the finding names, or `--allow` the lint",
    }
    CaseFailed = "CASE_FAILED", Refused {
        summary: "a policy case failed",
        cause: "The policy decides a case otherwise than the case expects.",
        hint: "read the rule that decided, then correct the policy or the case",
    }
    Usage = "USAGE", Usage {
        summary: "the call itself is wrong",
        cause: "The argument parser refused the call: an unknown option, a missing or a surplus argument.",
        hint: "run `permit help` or the command with `--help`",
    }
}
