/* Measures the binding. Prints lines of a name, a value and a unit, separated by tabs. `figures --quick`
 * does the same with sizes of a hundredth, as a test of this program. */

#define _POSIX_C_SOURCE 200809L

#include <disband.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- helpers ---- */

static void stop(const char *message) {
    fprintf(stderr, "figures: %s\n", message);
    exit(1);
}

static void check(disband_status status) {
    if (status != DISBAND_STATUS_OK) {
        stop(disband_last_error());
    }
}

static void expect(int holds, const char *what) {
    if (!holds) {
        stop(what);
    }
}

static double ns_of(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double now_ns(void) {
    return ns_of(CLOCK_MONOTONIC);
}

/* The time that this thread was busy. */
static double busy_ns(void) {
    return ns_of(CLOCK_THREAD_CPUTIME_ID);
}

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The median of an odd number of values, which are sorted. */
static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static void print(const char *name, double value, const char *unit) {
    printf("%s\t%.3f\t%s\n", name, value, unit);
    fflush(stdout);
}

/* ---- postcard ---- */

typedef struct {
    uint8_t *data;
    size_t len, room;
} buffer;

static void put_byte(buffer *to, uint8_t byte) {
    if (to->len == to->room) {
        to->room = to->room * 2 + 64;
        to->data = realloc(to->data, to->room);
        expect(to->data != NULL, "out of memory");
    }
    to->data[to->len++] = byte;
}

static void put_number(buffer *to, uint64_t number) {
    for (; number >= 0x80; number >>= 7) {
        put_byte(to, (uint8_t)(number | 0x80));
    }
    put_byte(to, (uint8_t)number);
}

static void put_text(buffer *to, const char *text) {
    put_number(to, strlen(text));
    for (; *text != '\0'; text++) {
        put_byte(to, (uint8_t)*text);
    }
}

static disband_slice slice_of(const buffer *bytes) {
    disband_slice slice = {bytes->data, bytes->len};
    return slice;
}

/* The places of the commands in the enum `Command`. */
enum { CREATE = 0, JOIN = 1, LEAVE = 2, POST = 4 };

static void put_join(buffer *to, uint64_t user, uint64_t group) {
    put_number(to, JOIN);
    put_number(to, user);
    put_number(to, group);
}

static void put_create(buffer *to, uint64_t owner, uint64_t group) {
    put_number(to, CREATE);
    put_number(to, owner);
    put_number(to, group);
    put_byte(to, 0); /* the default options */
}

typedef struct {
    const uint8_t *at, *end;
} reader;

static uint8_t take_byte(reader *from) {
    expect(from->at < from->end, "the bytes end too early");
    return *from->at++;
}

static uint64_t take_number(reader *from) {
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = take_byte(from);
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return number;
        }
    }
    stop("a number has too many bytes");
    return 0;
}

static void take_text(reader *from, char *text, size_t room) {
    uint64_t len = take_number(from);
    expect(len < room && len <= (uint64_t)(from->end - from->at), "a text is too long");
    memcpy(text, from->at, len);
    text[len] = '\0';
    from->at += len;
}

/* ---- engines ---- */

static const char CONFIG[] =
    "{\"quotas\":{\"create\":\"unlimited\",\"join\":\"unlimited\",\"leave\":\"unlimited\","
    "\"kick\":\"unlimited\",\"post\":\"unlimited\",\"dissolve\":\"unlimited\","
    "\"transfer\":\"unlimited\",\"set_rank\":\"unlimited\",\"set_options\":\"unlimited\","
    "\"ban\":\"unlimited\",\"unban\":\"unlimited\",\"leave_all\":\"unlimited\","
    "\"add\":\"unlimited\",\"mute\":\"unlimited\",\"unmute\":\"unlimited\","
    "\"edit\":\"unlimited\",\"erase\":\"unlimited\"},\"departures\":0}";

static disband_engine new_engine(void) {
    disband_engine engine;
    check(disband_engine_new(DISBAND_IDS_NUMBERS, DISBAND_FORMAT_JSON, disband_text(CONFIG), &engine));
    return engine;
}

static void expect_done(disband_outcome outcome) {
    uint32_t code;
    check(disband_outcome_code(outcome, &code));
    expect(code == 200, "a command was refused");
}

static void run_json(disband_engine engine, const char *command) {
    disband_outcome outcome;
    check(disband_engine_apply(engine, DISBAND_FORMAT_JSON, disband_text(command), 1, &outcome));
    expect_done(outcome);
    check(disband_outcome_free(outcome));
}

/* A group with the owner `first` and members with the ids that follow, in batches of 1,000. */
static void make_group(disband_engine engine, uint64_t group, uint64_t first, uint64_t members) {
    for (uint64_t begin = 0; begin < members; begin += 1000) {
        uint64_t count = members - begin < 1000 ? members - begin : 1000;
        buffer batch = {NULL, 0, 0};
        disband_outcome outcome;
        put_number(&batch, count);
        for (uint64_t member = begin; member < begin + count; member++) {
            if (member == 0) {
                put_create(&batch, first, group);
            } else {
                put_join(&batch, first + member, group);
            }
        }
        check(disband_engine_apply_all(engine, DISBAND_FORMAT_POSTCARD, slice_of(&batch), 1, &outcome));
        expect_done(outcome);
        check(disband_outcome_free(outcome));
        free(batch.data);
    }
}

/* ---- posts ---- */

static disband_engine group_of_eight(void) {
    disband_engine engine = new_engine();
    run_json(engine,
             "{\"create\":{\"owner\":\"1\",\"group\":\"7\",\"options\":{\"keep_entries\":1000}}}");
    for (int user = 2; user <= 8; user++) {
        char join[64];
        snprintf(join, sizeof join, "{\"join\":{\"user\":\"%d\",\"group\":\"7\"}}", user);
        run_json(engine, join);
    }
    return engine;
}

typedef struct {
    uint64_t entry;
    uint64_t key_high, key_low;
    uint64_t group, from, actor, version;
    uint64_t seq, at;
    char message[64];
    uint64_t recipients[8];
    size_t recipient_count;
} posted;

/* The key of a signal, a number of 128 bits. */
static void take_key(reader *from, posted *post) {
    post->key_high = post->key_low = 0;
    for (unsigned shift = 0; shift < 128; shift += 7) {
        uint8_t byte = take_byte(from);
        uint64_t part = byte & 0x7f;
        if (shift < 64) {
            post->key_low |= part << shift;
            post->key_high |= shift > 57 ? part >> (64 - shift) : 0;
        } else {
            post->key_high |= part << (shift - 64);
        }
        if (byte < 0x80) {
            return;
        }
    }
    stop("a key has too many bytes");
}

/* Decodes the outcome of a post: done, its reply, and its one signal, with its event and recipients. */
static void decode(disband_outcome outcome, posted *post) {
    disband_bytes bytes;
    disband_audience audience;
    check(disband_outcome_encode(outcome, DISBAND_FORMAT_POSTCARD, &bytes));
    reader from = {bytes.data, bytes.data + bytes.len};
    expect(take_number(&from) == 0, "not done");
    expect(take_number(&from) == 4, "not posted");
    post->entry = take_number(&from);
    expect(take_number(&from) == 1, "not one signal");
    take_key(&from, post);
    post->group = take_number(&from);
    post->from = take_number(&from);
    post->actor = take_number(&from);
    post->version = take_number(&from);
    expect(take_number(&from) == 4, "not a message");
    post->seq = take_number(&from);
    post->at = take_number(&from);
    take_text(&from, post->message, sizeof post->message);
    expect(take_number(&from) == 7 && from.at == from.end, "not seven recipients at the end");
    check(disband_bytes_free(&bytes));
    check(disband_outcome_audience(outcome, 0, &audience));
    check(disband_audience_numbers(audience, NULL, post->recipients, 8, &post->recipient_count));
    check(disband_audience_free(audience));
}

static void measure_posts(const char *name, disband_format format, disband_slice command,
                          int is_decoded, uint64_t times) {
    disband_engine engine = group_of_eight();
    disband_outcome outcome;
    posted post;
    double begin = 0;
    for (uint64_t number = 0; number < times + times / 10; number++) {
        if (number == times / 10) {
            begin = now_ns();
        }
        check(disband_engine_apply(engine, format, command, number, &outcome));
        if (is_decoded) {
            decode(outcome, &post);
            expect(post.entry == number && post.key_low == number + 8, "another post");
            expect(post.recipient_count == 7, "other recipients");
        }
        check(disband_outcome_free(outcome));
    }
    print(name, (now_ns() - begin) / (double)times, "ns");
    check(disband_engine_free(engine));
}

static void measure_all_posts(uint64_t times) {
    static const char json[] = "{\"post\":{\"author\":\"3\",\"group\":\"7\",\"message\":\"hello, world\"}}";
    buffer postcard = {NULL, 0, 0};
    put_number(&postcard, POST);
    put_number(&postcard, 3);
    put_number(&postcard, 7);
    put_text(&postcard, "hello, world");
    disband_slice compact = slice_of(&postcard);
    measure_posts("post", DISBAND_FORMAT_POSTCARD, compact, 0, times);
    measure_posts("post_decoded", DISBAND_FORMAT_POSTCARD, compact, 1, times);
    measure_posts("post_json", DISBAND_FORMAT_JSON, disband_text(json), 0, times);
    free(postcard.data);
}

/* ---- dissolutions ---- */

enum { RUNS = 9 };

/* A thread that frees one outcome after the other. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    disband_outcome next;
} freer;

static void *free_outcomes(void *argument) {
    freer *shared = argument;
    for (int run = 0; run < RUNS; run++) {
        pthread_mutex_lock(&shared->lock);
        while (shared->next.id == 0) {
            pthread_cond_wait(&shared->changed, &shared->lock);
        }
        disband_outcome outcome = shared->next;
        shared->next.id = 0;
        pthread_cond_signal(&shared->changed);
        pthread_mutex_unlock(&shared->lock);
        check(disband_outcome_free(outcome));
    }
    return NULL;
}

static disband_outcome owner_leaves(disband_engine engine, uint64_t group, double *ns) {
    buffer leave = {NULL, 0, 0};
    disband_outcome outcome;
    put_number(&leave, LEAVE);
    put_number(&leave, 1);
    put_number(&leave, group);
    put_byte(&leave, 0); /* no stint */
    double begin = now_ns();
    check(disband_engine_apply(engine, DISBAND_FORMAT_POSTCARD, slice_of(&leave), 2, &outcome));
    *ns = now_ns() - begin;
    expect_done(outcome);
    free(leave.data);
    return outcome;
}

static void measure_dissolutions(uint64_t members) {
    double leave[RUNS], here[RUNS], elsewhere[RUNS], ignored;
    disband_engine engine = new_engine();
    freer shared = {.next = {0}};
    pthread_t thread;
    pthread_mutex_init(&shared.lock, NULL);
    pthread_cond_init(&shared.changed, NULL);
    expect(pthread_create(&thread, NULL, free_outcomes, &shared) == 0, "no thread");
    for (uint64_t run = 0; run < RUNS; run++) {
        make_group(engine, 2 * run, 1, members);
        disband_outcome outcome = owner_leaves(engine, 2 * run, &leave[run]);
        double begin = now_ns();
        check(disband_outcome_free(outcome));
        here[run] = now_ns() - begin;

        make_group(engine, 2 * run + 1, 1, members);
        outcome = owner_leaves(engine, 2 * run + 1, &ignored);
        begin = busy_ns();
        pthread_mutex_lock(&shared.lock);
        shared.next = outcome;
        pthread_cond_signal(&shared.changed);
        pthread_mutex_unlock(&shared.lock);
        elsewhere[run] = busy_ns() - begin;
        pthread_mutex_lock(&shared.lock);
        while (shared.next.id != 0) {
            pthread_cond_wait(&shared.changed, &shared.lock);
        }
        pthread_mutex_unlock(&shared.lock);
    }
    pthread_join(thread, NULL);
    print("dissolve", median(leave, RUNS) / 1e3, "us");
    print("dissolve_free", median(here, RUNS) / 1e6, "ms");
    print("dissolve_free_elsewhere", median(elsewhere, RUNS) / 1e3, "us");
    check(disband_engine_free(engine));
}

/* ---- audiences and snapshots ---- */

static void measure_audience(uint64_t members) {
    disband_engine engine = new_engine();
    disband_outcome outcome;
    disband_audience audience;
    const char *post = "{\"post\":{\"author\":\"1\",\"group\":\"7\",\"message\":\"a\"}}";
    uint64_t ids[512], walked = 0, sum = 0;
    make_group(engine, 7, 1, members);
    check(disband_engine_apply(engine, DISBAND_FORMAT_JSON, disband_text(post), 2, &outcome));
    check(disband_outcome_audience(outcome, 0, &audience));
    double begin = now_ns();
    for (int run = 0; run < RUNS; run++) {
        const uint64_t *after = NULL;
        size_t count;
        do {
            check(disband_audience_numbers(audience, after, ids, 512, &count));
            for (size_t index = 0; index < count; index++) {
                sum += ids[index];
            }
            walked += count;
            after = &ids[511];
        } while (count == 512);
    }
    double ns = now_ns() - begin;
    expect(walked == RUNS * (members - 1), "not every recipient");
    expect(sum == RUNS * (members * (members + 1) / 2 - 1), "other recipients");
    print("audience", ns / (double)walked, "ns");
    check(disband_audience_free(audience));
    check(disband_outcome_free(outcome));
    check(disband_engine_free(engine));
}

static void measure_snapshots(uint64_t groups) {
    enum { TIMES = 3, CLONES = 1000 };
    double writes[TIMES], reads[TIMES], size = 0;
    disband_engine engine = new_engine(), clone;
    for (uint64_t group = 0; group < groups; group++) {
        make_group(engine, group, group * 1000, 1000);
    }
    for (int run = 0; run < TIMES; run++) {
        disband_bytes saved;
        bool equal;
        double begin = now_ns();
        check(disband_engine_save(engine, DISBAND_FORMAT_POSTCARD, &saved));
        writes[run] = now_ns() - begin;
        size = (double)saved.len;
        disband_slice bytes = {saved.data, saved.len};
        begin = now_ns();
        check(disband_engine_load(DISBAND_IDS_NUMBERS, DISBAND_FORMAT_POSTCARD, bytes, &clone));
        reads[run] = now_ns() - begin;
        check(disband_engine_equal(engine, clone, &equal));
        expect(equal, "another engine");
        check(disband_engine_free(clone));
        check(disband_bytes_free(&saved));
    }
    print("snapshot_write", median(writes, TIMES) / 1e6, "ms");
    print("snapshot_read", median(reads, TIMES) / 1e6, "ms");
    print("snapshot_bytes", size, "bytes");
    double begin = now_ns();
    for (int run = 0; run < CLONES; run++) {
        check(disband_engine_clone(engine, &clone));
        check(disband_engine_free(clone));
    }
    print("clone", (now_ns() - begin) / CLONES, "ns");
    check(disband_engine_free(engine));
}

int main(int count, char **arguments) {
    uint64_t part = 1;
    if (count == 2 && strcmp(arguments[1], "--quick") == 0) {
        part = 100;
    } else if (count != 1) {
        stop("usage: figures [--quick]");
    }
    measure_all_posts(200000 / part);
    measure_dissolutions(200000 / part);
    measure_audience(200000 / part);
    measure_snapshots(1000 / part);
    return 0;
}
