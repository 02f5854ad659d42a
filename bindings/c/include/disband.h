/* disband: group membership as a state machine. README.md beside this header's sources has the guide.
 *
 * Made from the Rust sources. Do not edit: `DISBAND_WRITE_HEADER=1 cargo test -p disband-c-header`
 * writes it. */

#ifndef DISBAND_H
#define DISBAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How a call ended. A call that failed has changed nothing, except after `DISBAND_STATUS_PANIC`, and it
// has set its out parameter, if that is not null, to zero: a null handle, no bytes, 0 or false.
//
// A command that is refused is not a failure: its outcome has a code other than 200.
typedef enum disband_status {
  // The call succeeded.
  DISBAND_STATUS_OK = 0,
  // A pointer is null that must not be.
  DISBAND_STATUS_NULL_POINTER = 1,
  // The handle is null, was freed, was never given out, or is of another type.
  DISBAND_STATUS_BAD_HANDLE = 2,
  // Another argument is out of its range.
  DISBAND_STATUS_BAD_ARGUMENT = 3,
  // Bytes are not a value of the expected type in the given format.
  DISBAND_STATUS_BAD_FORMAT = 4,
  // The engine cannot have this configuration.
  DISBAND_STATUS_CONFIG = 5,
  // `disband_engine_check` found a violated invariant, which is a defect of the library.
  DISBAND_STATUS_INVARIANT = 6,
  // An earlier call on this engine panicked. The engine can only be freed.
  DISBAND_STATUS_POISONED = 7,
  // The call panicked, which is a defect of the library. Each later call on the same engine, if the
  // panic came from the engine, gives `DISBAND_STATUS_POISONED`.
  DISBAND_STATUS_PANIC = 8,
} disband_status;

// Bytes of the caller. The library only reads them, and only during the call. If `len` is 0, `data` is
// not read and may be null. `disband_text` makes one of a string.
typedef struct disband_slice {
  // The first byte.
  const void *data;
  // How many bytes there are.
  size_t len;
} disband_slice;

// Bytes that a function gave to the caller, who owns them and frees them once, with
// `disband_bytes_free`, on any thread. After them there is a zero byte, which `len` does not count. So
// JSON can be used as a string: it contains no zero byte.
typedef struct disband_bytes {
  // The first byte; null if a call failed or the bytes were freed.
  uint8_t *data;
  // How many bytes there are.
  size_t len;
  // For the library. It must not be changed.
  size_t capacity;
} disband_bytes;

// The type of all ids of one engine: `DISBAND_IDS_NUMBERS` or `DISBAND_IDS_TEXT`. It never changes.
typedef uint32_t disband_ids;

// How values are written as bytes: `DISBAND_FORMAT_JSON` or `DISBAND_FORMAT_POSTCARD`.
typedef uint32_t disband_format;

// An engine: all groups with their members and logs. A handle with the id 0 is null.
//
// A handle is a number, so it may be copied. Handles of all types may be used and freed on any thread.
// A handle that is null, was freed or is of another type gives `DISBAND_STATUS_BAD_HANDLE`, and is
// never mistaken for a newer one. If a handle is freed during a call that uses it, that call still
// succeeds.
//
// Calls on one engine run one after the other; different engines do not wait for each other.
// `disband_engine_save`, `_check` and `_equal` work on a clone, so commands do not wait for them.
typedef struct disband_engine {
  // The number of the handle.
  uint64_t id;
} disband_engine;

// The outcome of a command or a batch: what was done, with the signals to deliver; or why it was
// refused. It never changes, and several threads may read it at once. A handle with the id 0 is null.
typedef struct disband_outcome {
  // The number of the handle.
  uint64_t id;
} disband_outcome;

// The users that a signal is for. It shares the members with the group, so making one is O(1); later
// changes of the group do not change it, and several threads may read it at once. A handle with the id
// 0 is null.
typedef struct disband_audience {
  // The number of the handle.
  uint64_t id;
} disband_audience;

// A dissolved group with its members and its log, for example to archive it. The engine no longer holds
// it. It never changes, and several threads may read it at once. A handle with the id 0 is null.
typedef struct disband_dissolved {
  // The number of the handle.
  uint64_t id;
} disband_dissolved;

// The size of a dissolved group.
typedef struct disband_summary {
  // How many members it had, including the owner.
  uint64_t members;
  // How many entries its log had.
  uint64_t entries;
} disband_summary;

// Ids are integers from 0 to 2^64 - 1. In JSON they are strings of decimal digits.
#define DISBAND_IDS_NUMBERS 1

// Ids are any text in UTF-8.
#define DISBAND_IDS_TEXT 2

// JSON in UTF-8. Enums and structs have their names.
#define DISBAND_FORMAT_JSON 1

// postcard (postcard.jamesmunns.com): compact and quick, without names.
#define DISBAND_FORMAT_POSTCARD 2

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library, such as "0.1.0". It is a constant string, which is never freed.
const char *disband_version(void);

// The name of a `disband_status`, such as "DISBAND_STATUS_OK"; "unknown status" for other numbers. It
// is a constant string, which is never freed.
const char *disband_status_name(uint32_t status);

// What went wrong in the last call of this thread that failed, in UTF-8; an empty string if none has
// failed. Never null. The string belongs to the library, and is valid until the thread's next call that
// fails or the thread's end.
const char *disband_last_error(void);

// The bytes of a string, without the zero at its end. The slice points into the string and is valid as
// long as the string is. For null, an empty slice. O(length).
//
// # Safety
// `text` is null, or points to a string that ends with a zero byte and does not change while the slice
// is used.
struct disband_slice disband_text(const char *text);

// Frees bytes and sets all fields to zero. Bytes whose fields are zero may be freed again. A copy of
// the struct must not be freed too. O(1).
//
// Errors: `DISBAND_STATUS_NULL_POINTER`.
enum disband_status disband_bytes_free(struct disband_bytes *bytes);

// Makes an engine without groups, which the caller frees. `config` is a `Config`; no bytes stand for
// the default one.
//
// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_ARGUMENT` if `ids` or
// `format` is none, `DISBAND_STATUS_BAD_FORMAT`.
enum disband_status disband_engine_new(disband_ids ids,
                                       disband_format format,
                                       struct disband_slice config,
                                       struct disband_engine *engine);

// Frees an engine. O(size), in the last call that uses it.
//
// Errors: `DISBAND_STATUS_BAD_HANDLE`.
enum disband_status disband_engine_free(struct disband_engine engine);

// Makes a clone, which the caller frees. It is a snapshot: later commands on one of the two do not
// change the other. O(1).
//
// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_HANDLE`,
// `DISBAND_STATUS_POISONED`.
enum disband_status disband_engine_clone(struct disband_engine engine,
                                         struct disband_engine *clone);

// Writes the type of the engine's ids. O(1).
//
// Errors: those of `disband_engine_clone`.
enum disband_status disband_engine_ids(struct disband_engine engine, disband_ids *ids);

// Carries out a `Command` at the time `now`, in milliseconds, and gives its outcome to the caller, who
// frees it. A refusal is an outcome too. O(log N) for N memberships, also if a group of any size is
// dissolved.
//
// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_ARGUMENT` if `format` is
// none, `DISBAND_STATUS_BAD_HANDLE`, `DISBAND_STATUS_POISONED`, `DISBAND_STATUS_BAD_FORMAT` if the bytes
// are no command with ids of the engine's type.
enum disband_status disband_engine_apply(struct disband_engine engine,
                                         disband_format format,
                                         struct disband_slice command,
                                         uint64_t now,
                                         struct disband_outcome *outcome);

// Gives the outcome that `disband_engine_apply` would have, and changes nothing. The keys of its
// signals will be those of other signals.
//
// Costs and errors: those of `disband_engine_apply`.
enum disband_status disband_engine_preview(struct disband_engine engine,
                                           disband_format format,
                                           struct disband_slice command,
                                           uint64_t now,
                                           struct disband_outcome *outcome);

// Carries out all of a list of `Command`s or, if one is refused, none. They are not charged against
// rate limits. The outcome has the reply to each command, and the signals of all. O(commands * log N).
//
// Errors: those of `disband_engine_apply`.
enum disband_status disband_engine_apply_all(struct disband_engine engine,
                                             disband_format format,
                                             struct disband_slice commands,
                                             uint64_t now,
                                             struct disband_outcome *outcome);

// Charges the rate limit of a `Command` without carrying it out: for requests that the host refuses
// itself. Writes 0 if it was charged. Otherwise it is too fast, nothing was charged, and the earliest
// time is written at which it would not be too fast. O(log N).
//
// Errors: those of `disband_engine_apply`.
enum disband_status disband_engine_charge(struct disband_engine engine,
                                          disband_format format,
                                          struct disband_slice command,
                                          uint64_t now,
                                          uint64_t *retry_at);

// Reads what a `Query` asks for, and gives the answer as bytes in the same format. What is read of a
// group that does not exist is null.
//
// Errors: those of `disband_engine_apply`, for a query.
enum disband_status disband_engine_read(struct disband_engine engine,
                                        disband_format format,
                                        struct disband_slice query,
                                        struct disband_bytes *answer);

// Replaces the configuration. For each quota that changed, all users get a full allowance; freeing
// their records takes O(records), during which other calls on the engine do not wait.
//
// Errors: those of `disband_engine_apply`, for a `Config`; then `DISBAND_STATUS_CONFIG` if the instance
// number differs.
enum disband_status disband_engine_set_config(struct disband_engine engine,
                                              disband_format format,
                                              struct disband_slice config);

// Removes up to `budget` entries of dissolved groups from the index. Commands do this too, a few
// entries at a time. O(budget * log N).
//
// Errors, in this order: `DISBAND_STATUS_BAD_HANDLE`, `DISBAND_STATUS_POISONED`.
enum disband_status disband_engine_sweep(struct disband_engine engine, size_t budget);

// Verifies every invariant. O(size).
//
// Errors, in this order: `DISBAND_STATUS_BAD_HANDLE`, `DISBAND_STATUS_POISONED`,
// `DISBAND_STATUS_INVARIANT`.
enum disband_status disband_engine_check(struct disband_engine engine);

// Writes whether two engines have the same configuration, groups, records of dissolved groups, rate
// limits and counters. Engines with different types of ids are not equal. O(size).
//
// Errors: those of `disband_engine_clone`, for `left` and then for `right`.
enum disband_status disband_engine_equal(struct disband_engine left,
                                         struct disband_engine right,
                                         bool *equal);

// Gives a snapshot of the engine as bytes. The same engine always gives the same bytes. O(size). What
// the engine loses meanwhile is freed at the end of this call.
//
// Errors: those of `disband_engine_apply`, without a command.
enum disband_status disband_engine_save(struct disband_engine engine,
                                        disband_format format,
                                        struct disband_bytes *saved);

// Makes an engine of a snapshot and verifies it. The caller frees the engine. O(size).
//
// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_ARGUMENT` if `ids` or
// `format` is none, `DISBAND_STATUS_BAD_FORMAT` if the bytes are no snapshot with such ids, or if the
// snapshot violates an invariant. A snapshot does not say the type of its ids, so pass the type that
// they had: in JSON, ids of decimal digits can be read as either type.
enum disband_status disband_engine_load(disband_ids ids,
                                        disband_format format,
                                        struct disband_slice saved,
                                        struct disband_engine *engine);

// Frees an outcome. It holds groups that were dissolved, and shares them with its audiences and
// dissolved groups and with clones of the engine from before. What is freed last frees the members and
// the log, in O(members + entries). That takes many milliseconds for a million, so free it on a thread
// that may take long. Without a dissolved group it is O(signals).
//
// Errors: `DISBAND_STATUS_BAD_HANDLE`.
enum disband_status disband_outcome_free(struct disband_outcome outcome);

// Writes the HTTP status: 200, or that of the refusal. O(1).
//
// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_HANDLE`.
enum disband_status disband_outcome_code(struct disband_outcome outcome, uint32_t *code);

// Gives the whole outcome as bytes: `done` with the reply and the signals, or `refused` with the
// refusal. Of an audience and of a dissolved group there is only the size. O(replies + signals).
//
// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_ARGUMENT` if `format` is
// none, `DISBAND_STATUS_BAD_HANDLE`.
enum disband_status disband_outcome_encode(struct disband_outcome outcome,
                                           disband_format format,
                                           struct disband_bytes *bytes);

// Gives the reply as JSON of the chat API. O(reply).
//
// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_HANDLE`,
// `DISBAND_STATUS_BAD_ARGUMENT` for the outcome of a batch, which has no such reply.
enum disband_status disband_outcome_wire_reply(struct disband_outcome outcome,
                                               struct disband_bytes *json);

// Writes how many signals there are; 0 for a refusal. O(1).
//
// Errors: those of `disband_outcome_code`.
enum disband_status disband_outcome_signal_count(struct disband_outcome outcome, size_t *count);

// Gives a signal as JSON of the chat API, with the version of the group if `versioned`. `index` counts
// from 0, in the order in which signals are to be delivered. O(signal).
//
// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_HANDLE`,
// `DISBAND_STATUS_BAD_ARGUMENT` if there is no such signal.
enum disband_status disband_outcome_wire_frame(struct disband_outcome outcome,
                                               size_t index,
                                               bool versioned,
                                               struct disband_bytes *json);

// Gives the audience of a signal, which the caller frees. It may outlive the outcome. O(1).
//
// Errors: those of `disband_outcome_wire_frame`.
enum disband_status disband_outcome_audience(struct disband_outcome outcome,
                                             size_t index,
                                             struct disband_audience *audience);

// Writes how many groups were dissolved. O(replies) in the first call of this function or of
// `disband_outcome_dissolved`, then O(1).
//
// Errors: those of `disband_outcome_code`.
enum disband_status disband_outcome_dissolved_count(struct disband_outcome outcome, size_t *count);

// Gives a dissolved group, which the caller frees. It may outlive the outcome. `index` counts from 0, in
// the order of the reply. Costs: those of `disband_outcome_dissolved_count`.
//
// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_HANDLE`,
// `DISBAND_STATUS_BAD_ARGUMENT` if there is no such group.
enum disband_status disband_outcome_dissolved(struct disband_outcome outcome,
                                              size_t index,
                                              struct disband_dissolved *dissolved);

// Frees an audience. If nothing else shares the members any more, O(members); see
// `disband_outcome_free`.
//
// Errors: `DISBAND_STATUS_BAD_HANDLE`.
enum disband_status disband_audience_free(struct disband_audience audience);

// Makes another handle of the same users, which the caller frees. O(1).
//
// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_HANDLE`.
enum disband_status disband_audience_clone(struct disband_audience audience,
                                           struct disband_audience *clone);

// Writes how many users there are. O(1).
//
// Errors: those of `disband_audience_clone`.
enum disband_status disband_audience_len(struct disband_audience audience, size_t *len);

// Writes whether `user`, an id in the given format, is one of the users. O(log n).
//
// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_ARGUMENT` if `format` is
// none, `DISBAND_STATUS_BAD_HANDLE`, `DISBAND_STATUS_BAD_FORMAT` if `user` is no id of the engine's
// type.
enum disband_status disband_audience_contains(struct disband_audience audience,
                                              disband_format format,
                                              struct disband_slice user,
                                              bool *contains);

// Gives a list of the first `limit` users, in ascending order, whose id is larger than `after`, an id
// in the same format. No bytes begin at the first user. O(log n + limit).
//
// Errors: those of `disband_audience_contains`.
enum disband_status disband_audience_page(struct disband_audience audience,
                                          disband_format format,
                                          struct disband_slice after,
                                          uint64_t limit,
                                          struct disband_bytes *page);

// The quickest way to walk an audience whose ids are numbers. Writes the first users, in ascending
// order, whose id is larger than `*after` into `ids`, at most `capacity`, and their number into
// `count`. A null `after` begins at the first user. `after` may point into `ids`; `count` may not. If
// `count` is less than `capacity`, the walk is at its end. O(log n + count) comparisons, and up to
// `capacity` elements of `ids` are overwritten.
//
// Errors, in this order: `DISBAND_STATUS_NULL_POINTER` if `count` is null, `DISBAND_STATUS_BAD_HANDLE`,
// `DISBAND_STATUS_BAD_ARGUMENT` if the ids are text, `DISBAND_STATUS_NULL_POINTER` if `ids` is null,
// `capacity` is not 0 and there are users. Nothing is written to `ids` then.
//
// # Safety
// `after` is null or points to a number, and `ids` is null or points to memory for `capacity` numbers.
enum disband_status disband_audience_numbers(struct disband_audience audience,
                                             const uint64_t *after,
                                             uint64_t *ids,
                                             size_t capacity,
                                             size_t *count);

// Frees a dissolved group. If nothing else shares it any more, O(members + entries); see
// `disband_outcome_free`.
//
// Errors: `DISBAND_STATUS_BAD_HANDLE`.
enum disband_status disband_dissolved_free(struct disband_dissolved dissolved);

// Writes the size of the group. O(1).
//
// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_HANDLE`.
enum disband_status disband_dissolved_summary(struct disband_dissolved dissolved,
                                              struct disband_summary *summary);

// Gives the group at its end as bytes, without its members and entries. O(1).
//
// Errors, in this order: `DISBAND_STATUS_NULL_POINTER`, `DISBAND_STATUS_BAD_ARGUMENT` if `format` is
// none, `DISBAND_STATUS_BAD_HANDLE`.
enum disband_status disband_dissolved_group(struct disband_dissolved dissolved,
                                            disband_format format,
                                            struct disband_bytes *group);

// Gives a list of the first `limit` members, in ascending order of ids, whose id is larger than
// `after`, an id in the same format. No bytes begin at the first member. O(limit * log n).
//
// Errors: those of `disband_dissolved_group`; then `DISBAND_STATUS_BAD_FORMAT` if `after` is no id of
// the engine's type.
enum disband_status disband_dissolved_members(struct disband_dissolved dissolved,
                                              disband_format format,
                                              struct disband_slice after,
                                              uint64_t limit,
                                              struct disband_bytes *page);

// Gives a list of the newest `limit` entries of the log before the entry `*before`, newest first. A
// null `before` begins at the newest entry. O(log n + limit).
//
// Errors: those of `disband_dissolved_group`.
enum disband_status disband_dissolved_history(struct disband_dissolved dissolved,
                                              disband_format format,
                                              const uint64_t *before,
                                              uint64_t limit,
                                              struct disband_bytes *page);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DISBAND_H */
