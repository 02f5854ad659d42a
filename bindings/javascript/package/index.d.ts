/**
 * Group membership as a state machine: who is in which group, with which rank, and what was said there.
 *
 * @example
 * ```js
 * import { Engine } from "disband";
 *
 * const engine = Engine.withText();
 * engine.create("alice", "rust", 1_000).free();
 *
 * const joined = engine.join("bob", "rust", 2_000);
 * for (const signal of joined.signals) {
 *   for (const user of signal.audience) console.log(user, signal.type); // alice memberjoin
 * }
 * joined.free();
 * ```
 *
 * @packageDocumentation
 */

/** An id of a user or a group. One engine has one type of ids, and it never changes. */
export type Id = bigint | string;

/**
 * An integer from 0 to 2^64 - 1 that goes in. A number must be safe (at most 2^53 - 1); larger integers
 * are bigints. Negative numbers, fractions and NaN are a `RangeError`.
 */
export type Integer = number | bigint;

/** Milliseconds since 1970, or since another epoch of your choice. The engine reads no clock. */
export type Time = Integer;

/** A rank, the lowest first. */
export type Rank = "member" | "admin" | "owner";

/** The options of a group. */
export interface GroupOptions {
  /** What happens when the owner leaves. Default `dissolve`. */
  readonly ownerExit: "dissolve" | "refuse" | "succeed";
  /** How far back a member may read: since they joined, or all. Default `from_join`. */
  readonly history: "from_join" | "full";
  /** How many entries the log keeps; null, the default, keeps all. */
  readonly keepEntries: number | null;
  /** For how many milliseconds the log keeps an entry; null, the default, is for ever. */
  readonly keepMs: number | null;
  /** Whether users may join, or can only be added. Default `open`. */
  readonly admission: "open" | "closed";
  /** The lowest rank that may add a user. Default `admin`. */
  readonly add: Rank;
  /** The lowest rank that may post. Default `member`. */
  readonly post: Rank;
  /** Who gets the signals that plain members joined, left or were kicked. Default `everyone`. */
  readonly announce: "everyone" | "staff";
}

/** {@link GroupOptions} to set: an option that is left out has its default. */
export type GroupOptionsInput = Input<GroupOptions>;

/** What goes in for values of `T`: fields may be left out, and integers may be bigints. */
export type Input<T> = {
  readonly [Field in keyof T]?: (T[Field] extends number | null ? T[Field] | bigint : T[Field]) | undefined;
};

/** `burst` commands at once, and then `cells` commands every `perMs` milliseconds. */
export interface Rate {
  /** From 1 to 2^32 - 1. */
  readonly cells: number;
  /** At least 1. */
  readonly perMs: number;
  /** From 1 to 2^32 - 1. */
  readonly burst: number;
}

/** How often one user may repeat one operation in one group. */
export type Quota = "unlimited" | Rate;

/** The names of the commands, which are also the names of their methods and of their quotas. */
export type Operation = keyof CommandFields<Id>;

/** A quota for each operation. */
export type Quotas = { readonly [Name in Operation]: Quota };

/** Limits on sizes; null is no limit. */
export interface Limits {
  /** Default 10,000,000. */
  readonly membersPerGroup: number | null;
  /** Default 20,000. */
  readonly groupsPerUser: number | null;
  /** Bytes of one message in UTF-8. Default 65,536. */
  readonly messageBytes: number | null;
  /** Default 100,000,000. */
  readonly entriesPerGroup: number | null;
  /** Default 100,000. */
  readonly bansPerGroup: number | null;
  /** Default 100,000. */
  readonly mutesPerGroup: number | null;
  /** Bytes of the note of a dissolution in UTF-8. Default 1,024. */
  readonly noteBytes: number | null;
  /** Bytes of all messages together. Default null. */
  readonly messageBytesTotal: number | null;
  /** Memberships in all groups together. Default null. */
  readonly membershipsTotal: number | null;
}

/** The configuration of an engine. It is part of its state and of its snapshots. */
export interface Config {
  /**
   * The upper half of every signal's key. Give each of several engines another one. Default 0. It
   * cannot be changed later.
   */
  readonly instance: number;
  /** The rate limits. */
  readonly quotas: Quotas;
  /** For how many milliseconds a dissolved group is remembered. Default 31 days. */
  readonly tombstoneMs: number;
  /** How many departures each group remembers, from 0 to 255. Default 16. */
  readonly departures: number;
  /** The limits on sizes. */
  readonly limits: Limits;
}

/** A {@link Config} to set: what is left out, at any depth but in a {@link Rate}, has its default. */
export interface ConfigInput {
  readonly instance?: Integer | undefined;
  readonly quotas?: { readonly [Name in Operation]?: "unlimited" | RateInput | undefined } | undefined;
  readonly tombstoneMs?: Integer | undefined;
  readonly departures?: Integer | undefined;
  readonly limits?: Input<Limits> | undefined;
}

/** A {@link Rate} to set. */
export interface RateInput {
  readonly cells: Integer;
  readonly perMs: Integer;
  readonly burst: Integer;
}

/** The fields of each command. */
export interface CommandFields<I extends Id> {
  create: { readonly owner: I; readonly group: I; readonly options?: GroupOptionsInput | null | undefined };
  join: { readonly user: I; readonly group: I };
  leave: { readonly user: I; readonly group: I; readonly stint?: Integer | null | undefined };
  leaveAll: { readonly user: I };
  kick: { readonly by: I; readonly group: I; readonly user: I };
  ban: {
    readonly by: I;
    readonly group: I;
    readonly user: I;
    readonly until?: Time | null | undefined;
  };
  unban: { readonly by: I; readonly group: I; readonly user: I };
  mute: {
    readonly by: I;
    readonly group: I;
    readonly user: I;
    readonly until?: Time | null | undefined;
  };
  unmute: { readonly by: I; readonly group: I; readonly user: I };
  add: { readonly by: I; readonly group: I; readonly user: I };
  post: { readonly author: I; readonly group: I; readonly message: string };
  edit: { readonly author: I; readonly group: I; readonly seq: Integer; readonly message: string };
  erase: { readonly by: I; readonly group: I; readonly seq: Integer };
  setRank: { readonly by: I; readonly group: I; readonly user: I; readonly rank: Rank };
  setOptions: { readonly by: I; readonly group: I; readonly options: GroupOptionsInput };
  transfer: { readonly owner: I; readonly group: I; readonly user: I };
  dissolve: {
    readonly owner: I;
    readonly group: I;
    readonly note?: string | null | undefined;
    readonly successor?: I | null | undefined;
  };
}

/**
 * A command as data. Its `type` is the name of the method that does the same. Unknown fields are a
 * `TypeError`.
 *
 * @example `{ type: "setRank", by: "alice", group: "rust", user: "bob", rank: "admin" }`
 */
export type Command<I extends Id = Id> = {
  [Name in Operation]: { readonly type: Name } & CommandFields<I>[Name];
}[Operation];

/** The value of each command's outcome. */
export interface Values<I extends Id> {
  create: number;
  join: number;
  leave: Departure<I>;
  leaveAll: readonly LeftGroup<I>[];
  kick: number;
  ban: number | null;
  unban: undefined;
  mute: undefined;
  unmute: undefined;
  add: number;
  post: number;
  edit: undefined;
  erase: undefined;
  setRank: undefined;
  setOptions: undefined;
  transfer: undefined;
  dissolve: Dissolved<I>;
}

/** The outcomes' values of a list of commands, in their order. */
export type ValuesOf<C extends readonly Command<I>[], I extends Id> = {
  -readonly [At in keyof C]: Values<I>[C[At]["type"]];
};

declare global {
  interface SymbolConstructor {
    readonly dispose: unique symbol;
  }
  interface Disposable {
    [Symbol.dispose](): void;
  }
}

/** What `using` needs. `Symbol.dispose` exists only where the JavaScript engine has it. */
export interface Freeable extends Disposable {
  /**
   * Frees the memory in the WebAssembly module. A second call does nothing. Without it the memory is
   * freed some time after the object became unreachable, which may be late.
   */
  free(): void;
}

/** What a batch did. Its value and signals are read when you first look at them. */
export interface BatchOutcome<V, I extends Id = Id> extends Freeable {
  /** The result; each method says what it is. */
  readonly value: V;
  /** The signals, in the order in which to deliver them. */
  readonly signals: readonly Signal<I>[];
  /**
   * Frees the outcome. Audiences and dissolved groups that you have taken out of it (by reading
   * `signal.audience`, `departure.dissolved`, or the `value` of a dissolution) live on until they are
   * freed. Afterwards reading the outcome is a {@link FreedError}. Freeing the last of what shares a
   * large group takes many milliseconds for a million members.
   */
  free(): void;
}

/** What a command did. Its value and signals are read when you first look at them. */
export interface Outcome<V, I extends Id = Id> extends BatchOutcome<V, I> {
  /** The reply in the JSON of the chat API. */
  reply(): string;
}

/** What all signals have. */
export interface SignalBase<I extends Id> {
  /** 32 hexadecimal digits, the same for all recipients. An engine never uses a key twice. */
  readonly key: string;
  readonly group: I;
  /** The user that the signal is about. */
  readonly from: I;
  /** The user whose command caused the signal. */
  readonly actor: I;
  /** The group's version. A gap means that a signal was missed. */
  readonly version: number;
  /** The users to deliver the signal to. */
  readonly audience: Audience<I>;
  /** The frame in the JSON of the chat API; with the group's version if `versioned`. */
  frame(versioned?: boolean): string;
}

/** What happened. */
export type Event<I extends Id = Id> =
  /** `from` joined, or was added by `by`. */
  | { readonly type: "memberjoin"; readonly by: I | null }
  /** `from` left. */
  | { readonly type: "memberleave" }
  /** If `from` is `by`, the group was dissolved. Else `from` was kicked. */
  | { readonly type: "memberkick"; readonly by: I }
  /** The group was dissolved, and its log is gone. */
  | {
      readonly type: "historypurge";
      /** The number that the next entry would have had. */
      readonly before: number;
      readonly note: string | null;
      readonly successor: I | null;
    }
  /** `from` posted a message. */
  | { readonly type: "message"; readonly seq: number; readonly at: number; readonly message: string }
  /** `from` changed the text of their message. */
  | { readonly type: "messageedit"; readonly seq: number; readonly at: number; readonly message: string }
  /** `from` erased a message. */
  | { readonly type: "messageerase"; readonly seq: number }
  /** `from` is the new owner. */
  | { readonly type: "ownerchange"; readonly previous: I }
  /** `from` has another rank. */
  | { readonly type: "rankchange"; readonly rank: Rank }
  /** `from` may not post or edit any more. */
  | { readonly type: "mute"; readonly by: I; readonly until: number | null }
  /** `from` may post and edit again. */
  | { readonly type: "unmute"; readonly by: I };

/** Something that happened in a group, and the users to deliver it to. */
export type Signal<I extends Id = Id> = SignalBase<I> & Event<I>;

/**
 * The users that a signal is for, in ascending order of ids. It is the same for ever: later changes of
 * the group do not change it, so you can run commands while you walk it.
 *
 * Up to 16 users come with the outcome. Larger audiences stay in the module and are read in pages, so
 * an audience costs the same for a group of any size until you walk it.
 */
export interface Audience<I extends Id = Id> extends Iterable<I>, Freeable {
  /** How many users there are. O(1). */
  readonly size: number;
  /** Whether the user is one of them. O(log n). */
  has(user: I): boolean;
  /** The first `limit` users (1,000 by default) with an id larger than `after`. O(log n + limit). */
  page(after?: I | null, limit?: Integer): I[];
}

/** What happened to a group that a user left. */
export type Departure<I extends Id = Id> =
  | {
      readonly kind: "left";
      /** The stint that ended. */
      readonly stint: number;
      readonly dissolved?: undefined;
    }
  | {
      readonly kind: "succeeded";
      readonly stint: number;
      /** The new owner. */
      readonly owner: I;
      readonly dissolved?: undefined;
    }
  | { readonly kind: "dissolved"; readonly dissolved: Dissolved<I> };

/** A group that a user left, and what happened to it. */
export type LeftGroup<I extends Id = Id> = Departure<I> & { readonly group: I };

/**
 * A dissolved group with all that was in it, which the engine no longer holds. Free it, and its outcome
 * and audiences, where a pause of many milliseconds for a million members delays nobody.
 */
export interface Dissolved<I extends Id = Id> extends Freeable {
  /** How many members it had, the owner among them. */
  readonly members: number;
  /** How many entries its log had. */
  readonly entries: number;
  /** The group at its end. */
  group(): GroupView<I>;
  /** The first `limit` members (1,000 by default) with an id larger than `after`. */
  membersPage(after?: I | null, limit?: Integer): Member<I>[];
  /** A page of its whole log, newest first. */
  history(page?: Page): Entry<I>[];
}

/** Which part of a log to read. */
export interface Page {
  /** Only entries before this one. If left out, from the newest. */
  readonly before?: Integer | null | undefined;
  /** The most entries. Default 100. */
  readonly limit?: Integer | undefined;
}

/** A group without its members and entries. */
export interface GroupView<I extends Id = Id> {
  readonly owner: I;
  readonly options: GroupOptions;
  readonly version: number;
  readonly members: number;
  readonly admins: number;
  readonly entries: number;
  /** The number that the next entry gets. */
  readonly nextSeq: number;
}

/** A member of a group. */
export interface Member<I extends Id = Id> {
  readonly user: I;
  readonly stint: number;
  readonly rank: Rank;
}

/** A group that a user is a member of. */
export interface Membership<I extends Id = Id> {
  readonly group: I;
  readonly stint: number;
}

/** A ban or a mute. */
export interface Sanction<I extends Id = Id> {
  readonly by: I;
  /** When it ends; null if it only ends when it is lifted. */
  /** A bigint if it is above 2^53 - 1. */
  readonly until: number | null;
}

/** A ban or a mute, with its user. */
export interface Sanctioned<I extends Id = Id> extends Sanction<I> {
  readonly user: I;
}

/** A membership that ended. */
export interface PastMember<I extends Id = Id> {
  readonly user: I;
  readonly at: number;
  /** Who kicked them; null if they left. */
  readonly kickedBy: I | null;
}

/** What a group knows of one user. */
export interface Standing<I extends Id = Id> {
  /** null for a user who is not a member. */
  readonly stint: number | null;
  /** null for a user who is not a member. */
  readonly rank: Rank | null;
  /** The ban in force. */
  readonly ban: Sanction<I> | null;
  /** The mute in force. */
  readonly mute: Sanction<I> | null;
}

/** An entry of a log. */
export interface Entry<I extends Id = Id> {
  readonly seq: number;
  readonly at: number;
  readonly author: I;
  /** The text; empty after it was erased. */
  readonly message: string;
  /** When the author last changed the text. */
  readonly edited: number | null;
  readonly erasedBy: I | null;
}

/** The sizes of an engine. */
export interface Stats {
  readonly groups: number;
  readonly memberships: number;
  readonly entries: number;
  readonly messageBytes: number;
  /** Dissolved groups that are remembered. */
  readonly tombstones: number;
  /** The stored states of rate limits. */
  readonly cells: number;
  /** Entries of dissolved groups in the index from users to groups, not removed yet. */
  readonly unswept: number;
}

/** Which limit would be exceeded. Each has the name of a field of {@link Limits}. */
export type Limit =
  | "members_per_group"
  | "groups_per_user"
  | "message_bytes"
  | "entries_per_group"
  | "bans_per_group"
  | "mutes_per_group"
  | "note_bytes"
  | "message_bytes_total"
  | "memberships_total";

/** Why a user is not a member, as far as the engine knows. */
export type Absence<I extends Id = Id> =
  | { readonly absence: "stint_over" }
  | { readonly absence: "left"; readonly at: number }
  | { readonly absence: "kicked"; readonly by: I; readonly at: number }
  | { readonly absence: "no_record" };

/** A reason, its HTTP status and its data. */
export type Reason<I extends Id = Id> =
  | { readonly reason: "too_fast"; readonly code: 429; readonly retryAt: number }
  | { readonly reason: "no_such_group" | "no_such_entry"; readonly code: 404 }
  | {
      readonly reason: "dissolved";
      readonly code: 404;
      readonly by: I;
      readonly at: number;
      readonly note: string | null;
      readonly successor: I | null;
    }
  | ({ readonly reason: "not_member" | "target_not_member"; readonly code: 400 } & Absence<I>)
  | {
      readonly reason: "not_owner" | "outranked" | "not_admin" | "closed" | "not_author";
      readonly code: 403;
    }
  | {
      readonly reason: "banned" | "muted";
      readonly code: 403;
      readonly by: I;
      /** A bigint if it is above 2^53 - 1. */
  readonly until: number | null;
    }
  | {
      readonly reason: "target_banned";
      readonly code: 409;
      readonly by: I;
      /** A bigint if it is above 2^53 - 1. */
  readonly until: number | null;
    }
  | { readonly reason: "id_reserved"; readonly code: 409; readonly until: number }
  | {
      readonly reason:
        | "group_exists"
        | "already_member"
        | "owner_must_stay"
        | "already_owner"
        | "already_ranked"
        | "not_banned"
        | "not_muted"
        | "already_expired"
        | "already_erased";
      readonly code: 409;
    }
  | { readonly reason: "over_limit"; readonly code: 413; readonly limit: Limit; readonly max: number };

/**
 * Why a command was refused. It is thrown. A refused command changes nothing but its rate limit.
 *
 * @example
 * ```js
 * try {
 *   engine.post("bob", "rust", "hello", Date.now()).free();
 * } catch (error) {
 *   if (!(error instanceof Refusal)) throw error;
 *   if (error.reason === "too_fast") console.log("again at", error.retryAt);
 * }
 * ```
 */
export type Refusal<I extends Id = Id> = Error & {
  /** In a batch: the place of the command that was refused, from 0. */
  readonly index?: number;
  /** The reply in the JSON of the chat API. */
  reply(): string;
} & Reason<I>;

/** For `error instanceof Refusal`. Only the package makes refusals. */
export const Refusal: abstract new (inside: never) => Refusal<any>;

/** An outcome, an audience or a dissolved group was used after `free()`. */
export class FreedError extends Error {}

/** An engine was used after `free()`. */
export class EngineFreedError extends FreedError {}

/** There may not be enough memory for a command. Nothing was changed, and the engine can be used. */
export class OutOfMemoryError extends Error {}

/**
 * The WebAssembly module has failed in the middle of a call, and all engines in it are lost. Every later
 * call throws this error too. `cause` is the first error.
 */
export class EngineLostError extends Error {}

/** The bytes are no snapshot, or one with ids of another type. */
export class SnapshotError extends Error {}

/** A configuration cannot be set: its instance number differs. */
export class ConfigError extends Error {}

/** An engine violates an invariant, which would be a defect of disband. */
export class InvariantError extends Error {}

/**
 * All groups with their members and logs, and the commands on them.
 *
 * A command takes the user who acts, the group, further arguments, and the time. It returns an
 * {@link Outcome}, or throws a {@link Refusal}. All methods throw:
 * - a `TypeError` or `RangeError` for arguments of another type or out of range,
 * - {@link OutOfMemoryError} if there may not be enough memory,
 * - {@link EngineFreedError} after `free()`.
 *
 * Nothing is changed then. n is the number of members of a group or of entries in its log, N that of
 * memberships in the engine.
 */
export class Engine<in out I extends Id = Id> implements Freeable {
  private constructor();

  /** The same as {@link free}, for `using`. */
  [Symbol.dispose](): void;

  /** An engine whose ids are bigints from `0n` to `2n ** 64n - 1n`. A number as an id is a TypeError. */
  static withNumbers(config?: ConfigInput): Engine<bigint>;

  /** An engine whose ids are strings. A string with a lone surrogate is a TypeError. */
  static withText(config?: ConfigInput): Engine<string>;

  /**
   * The engine of a snapshot that {@link Engine.save} wrote, or another binding of disband. It is
   * verified
   * completely. O(size · log size).
   *
   * @throws SnapshotError if the bytes are no snapshot with ids of this type
   */
  static load(ids: "numbers", snapshot: Uint8Array, format?: "postcard" | "json"): Engine<bigint>;
  static load(ids: "text", snapshot: Uint8Array, format?: "postcard" | "json"): Engine<string>;
  static load(
    ids: "numbers" | "text",
    snapshot: Uint8Array,
    format?: "postcard" | "json",
  ): Engine<bigint> | Engine<string>;

  /** The type of the ids. */
  readonly ids: I extends bigint ? "numbers" : I extends string ? "text" : never;

  /**
   * Creates a group with `owner` as its first member. The value is the owner's stint. O(log N).
   *
   * Refusals: `too_fast`, `group_exists`, `id_reserved`, `over_limit`.
   */
  create(owner: I, group: I, now: Time, options?: GroupOptionsInput | null): Outcome<number, I>;

  /**
   * Makes `user` a member. The value is their stint, the number of this membership. O(log N).
   *
   * Refusals: `too_fast`, `no_such_group`, `dissolved`, `banned`, `closed`, `already_member`,
   * `over_limit`.
   */
  join(user: I, group: I, now: Time): Outcome<number, I>;

  /**
   * Ends the membership of `user`; with `stint`, only if it is this one. If the owner leaves, the
   * group's
   * `ownerExit` decides. O(log N), also if a group of a million is dissolved.
   *
   * Refusals: `too_fast`, `no_such_group`, `dissolved`, `not_member`, `owner_must_stay`.
   */
  leave(user: I, group: I, now: Time, stint?: Integer | null): Outcome<Departure<I>, I>;

  /**
   * Ends every membership of `user`. O(log N) for each group.
   *
   * Refusals: `too_fast`.
   */
  leaveAll(user: I, now: Time): Outcome<readonly LeftGroup<I>[], I>;

  /**
   * Ends the membership of `user`, who has a lower rank than `by`. The value is the stint that ended.
   *
   * Refusals: `too_fast`, `no_such_group`, `dissolved`, `not_member`, `not_admin`, `outranked`,
   * `target_not_member`.
   */
  kick(by: I, group: I, user: I, now: Time): Outcome<number, I>;

  /**
   * Forbids `user` to join until `until`, or until the ban is lifted. The value is the stint that
   * ended if
   * they were a member, else null.
   *
   * Refusals: `too_fast`, `no_such_group`, `dissolved`, `not_member`, `not_admin`, `outranked`,
   * `already_expired`, `over_limit`.
   */
  ban(by: I, group: I, user: I, now: Time, until?: Time | null): Outcome<number | null, I>;

  /**
   * Lifts a ban.
   *
   * Refusals: `too_fast`, `no_such_group`, `dissolved`, `not_member`, `not_admin`, `not_banned`.
   */
  unban(by: I, group: I, user: I, now: Time): Outcome<undefined, I>;

  /**
   * Forbids `user` to post and edit until `until`, or until the mute is lifted.
   *
   * Refusals: `too_fast`, `no_such_group`, `dissolved`, `not_member`, `not_admin`, `outranked`,
   * `already_expired`, `over_limit`.
   */
  mute(by: I, group: I, user: I, now: Time, until?: Time | null): Outcome<undefined, I>;

  /**
   * Lifts a mute.
   *
   * Refusals: `too_fast`, `no_such_group`, `dissolved`, `not_member`, `not_admin`, `outranked`,
   * `not_muted`.
   */
  unmute(by: I, group: I, user: I, now: Time): Outcome<undefined, I>;

  /**
   * Makes `user` a member, also of a closed group. The value is their stint.
   *
   * Refusals: `too_fast`, `no_such_group`, `dissolved`, `not_member`, `not_admin`, `not_owner`,
   * `already_member`, `target_banned`, `over_limit`.
   */
  add(by: I, group: I, user: I, now: Time): Outcome<number, I>;

  /**
   * Appends a message to the log. The value is the number of the entry. O(log N).
   *
   * Refusals: `too_fast`, `no_such_group`, `dissolved`, `not_member`, `not_admin`, `not_owner`,
   * `muted`, `over_limit`.
   */
  post(author: I, group: I, message: string, now: Time): Outcome<number, I>;

  /**
   * Replaces the text of a message of `author`.
   *
   * Refusals: `too_fast`, `no_such_group`, `dissolved`, `not_member`, `no_such_entry`, `muted`,
   * `not_author`, `already_erased`, `over_limit`.
   */
  edit(author: I, group: I, seq: Integer, message: string, now: Time): Outcome<undefined, I>;

  /**
   * Removes the text of a message.
   *
   * Refusals: `too_fast`, `no_such_group`, `dissolved`, `not_member`, `no_such_entry`,
   * `not_author`, `outranked`, `already_erased`.
   */
  erase(by: I, group: I, seq: Integer, now: Time): Outcome<undefined, I>;

  /**
   * Makes a member an admin, or an admin a member.
   *
   * Refusals: `too_fast`, `no_such_group`, `dissolved`, `not_member`, `not_owner`, `outranked`,
   * `target_not_member`, `already_ranked`.
   */
  setRank(by: I, group: I, user: I, rank: Rank, now: Time): Outcome<undefined, I>;

  /**
   * Replaces all options of a group: an option that is left out gets its default.
   *
   * Refusals: `too_fast`, `no_such_group`, `dissolved`, `not_member`, `not_owner`.
   */
  setOptions(by: I, group: I, options: GroupOptionsInput, now: Time): Outcome<undefined, I>;

  /**
   * Makes `user` the owner, and the owner an admin.
   *
   * Refusals: `too_fast`, `no_such_group`, `dissolved`, `not_member`, `not_owner`,
   * `target_not_member`, `already_owner`.
   */
  transfer(owner: I, group: I, user: I, now: Time): Outcome<undefined, I>;

  /**
   * Dissolves a group. The value owns all that was in it. O(log N) for a group of any size.
   *
   * Refusals: `too_fast`, `no_such_group`, `dissolved`, `not_member`, `not_owner`, `over_limit`.
   */
  dissolve(
    owner: I,
    group: I,
    now: Time,
    farewell?: { readonly note?: string | null | undefined; readonly successor?: I | null | undefined },
  ): Outcome<Dissolved<I>, I>;

  /** Carries out a command that is given as data. */
  apply<C extends Command<I>>(command: C, now: Time): Outcome<Values<I>[C["type"]], I>;

  /** The outcome that {@link Engine.apply} would have. It changes nothing. Do not deliver the signals. */
  preview<C extends Command<I>>(command: C, now: Time): Outcome<Values<I>[C["type"]], I>;

  /**
   * Carries out all of the commands or none, without rate limits. A refusal has the `index` of
   * the command
   * that was refused.
   */
  applyAll<const C extends readonly Command<I>[]>(commands: C, now: Time): BatchOutcome<ValuesOf<C, I>, I>;
  applyAll<C extends Command<I>>(commands: Iterable<C>, now: Time): BatchOutcome<Values<I>[C["type"]][], I>;

  /** Charges the rate limit of a command without carrying it out. Throws the refusal `too_fast`. */
  charge(command: Command<I>, now: Time): void;

  /** A group; undefined if there is none. O(log N). */
  group(group: I): GroupView<I> | undefined;

  /** What a group knows of a user; undefined if there is no such group. O(log N). */
  standing(group: I, user: I, now: Time): Standing<I> | undefined;

  /**
   * The first `limit` members (1,000 by default) with an id larger than `after`, in ascending order;
   * undefined if there is no such group. O(limit · log n).
   */
  members(group: I, after?: I | null, limit?: Integer): Member<I>[] | undefined;

  /** All admins, the longest membership first; undefined if there is no such group. O(admins). */
  admins(group: I): Member<I>[] | undefined;

  /** All bans in force; undefined if there is no such group. O(bans). */
  bans(group: I, now: Time): Sanctioned<I>[] | undefined;

  /** All mutes in force; undefined if there is no such group. O(mutes). */
  mutes(group: I, now: Time): Sanctioned<I>[] | undefined;

  /** The departures that the group remembers, the oldest first; undefined if there is no such group. */
  departures(group: I): PastMember<I>[] | undefined;

  /**
   * A page of the entries that `reader` may read, newest first. O(log N + log² n + limit).
   *
   * @throws Refusal `no_such_group`, `dissolved` or `not_member`
   */
  history(reader: I, group: I, now: Time, page?: Page): Entry<I>[];

  /** The first `limit` ids of groups (1,000 by default) larger than `after`, in ascending order. */
  groups(after?: I | null, limit?: Integer): I[];

  /** The groups that a user is a member of, in the order of joining. */
  groupsOf(user: I): Membership<I>[];

  /** The groups that a user owns, in the order of joining. */
  ownedBy(user: I): I[];

  /** The configuration. */
  config(): Config;

  /**
   * Replaces the whole configuration: what is left out gets its default. O(1).
   *
   * @throws ConfigError if the instance number differs
   */
  setConfig(config: ConfigInput): void;

  /** The sizes of the engine. O(1). */
  stats(): Stats;

  /** Checks up to `budget` entries of the index for dissolved groups, and removes those. Optional. */
  sweep(budget: Integer): void;

  /**
   * Verifies every invariant. O(size).
   *
   * @throws InvariantError if one does not hold
   */
  check(): void;

  /** A snapshot in memory, which accepts commands like the original. O(1). */
  clone(): Engine<I>;

  /** Whether the engines have the same state. O(size). */
  equals(other: Engine<Id> | Engine<bigint> | Engine<string>): boolean;

  /** A snapshot as bytes: the same as those of all other bindings of disband. O(size). */
  save(format?: "postcard" | "json"): Uint8Array;

  /** Frees the engine. Its outcomes, audiences and clones live on. O(size), unless a clone is alive. */
  free(): void;
}
