/* Runs a history of commands through the engine, and writes the same bytes as disband-replay:
 *
 *   replay [--config FILE] [--snapshot-out FILE] HISTORY
 *   replay --all FOLDER
 *
 * A line {"at":...,"command":{...}} is a command, and {"at":...,"config":{...}} a configuration. For each
 * one line is written. The name of a snapshot ends in .json or .postcard, which selects the format. With
 * --all, every NAME.jsonl in FOLDER is run, with NAME.config.json if there is one, and the output and the
 * snapshots are written to NAME.c.out, NAME.c.json and NAME.c.postcard in FOLDER.
 *
 * The exit status is 2 if the input is invalid or cannot be read, and 1 if output cannot be written. */

#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <disband.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* Ends the program, with the answers to the lines before written. */
static void stop(int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fputs("replay: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(status);
}

/* Ends the program if a call failed that cannot fail with valid arguments. */
static void check(disband_status status) {
    if (status != DISBAND_STATUS_OK) {
        stop(1, "%s: %s", disband_status_name(status), disband_last_error());
    }
}

static void *allocated(void *memory) {
    if (memory == NULL) {
        stop(1, "out of memory");
    }
    return memory;
}

/* One path: FOLDER/NAME and an ending, to be freed by the caller. */
static char *path_of(const char *folder, const char *name, size_t name_len, const char *ending) {
    size_t size = strlen(folder) + 1 + name_len + strlen(ending) + 1;
    char *path = allocated(malloc(size));
    snprintf(path, size, "%s/%.*s%s", folder, (int)name_len, name, ending);
    return path;
}

static int ends_with(const char *text, size_t len, const char *ending) {
    size_t ending_len = strlen(ending);
    return len >= ending_len && memcmp(text + len - ending_len, ending, ending_len) == 0;
}

static disband_format format_of(const char *path) {
    if (ends_with(path, strlen(path), ".json")) {
        return DISBAND_FORMAT_JSON;
    }
    if (!ends_with(path, strlen(path), ".postcard")) {
        stop(2, "%s: a snapshot's name ends in .json or .postcard", path);
    }
    return DISBAND_FORMAT_POSTCARD;
}

static FILE *opened(const char *path, const char *mode) {
    FILE *file = fopen(path, mode);
    if (file == NULL) {
        stop(*mode == 'r' ? 2 : 1, "%s: %s", path, strerror(errno));
    }
    return file;
}

static void closed(FILE *file, const char *path) {
    int failed = ferror(file);
    if (fclose(file) != 0 || failed) {
        stop(1, "%s: cannot be written", path);
    }
}

/* The engine with the configuration in the file, or with the default one if `path` is NULL. */
static disband_engine new_engine(const char *path) {
    disband_engine engine;
    char *text = NULL;
    size_t len = 0, room = 0, got;
    if (path != NULL) {
        FILE *file = opened(path, "rb");
        do {
            if (len == room) {
                room = room * 2 + 4096;
                text = allocated(realloc(text, room));
            }
            got = fread(text + len, 1, room - len, file);
            len += got;
        } while (got > 0);
        if (ferror(file)) {
            stop(2, "%s: cannot be read", path);
        }
        fclose(file);
        if (len == 0) {
            stop(2, "%s: is empty", path);
        }
    }
    disband_slice config = {text, len};
    disband_status status =
        disband_engine_new(DISBAND_IDS_NUMBERS, DISBAND_FORMAT_JSON, config, &engine);
    if (status != DISBAND_STATUS_OK) {
        stop(2, "%s: %s", path, disband_last_error());
    }
    free(text);
    return engine;
}

static void write_bytes(FILE *out, disband_bytes *bytes) {
    fwrite(bytes->data, 1, bytes->len, out);
    check(disband_bytes_free(bytes));
}

static void write_recipients(FILE *out, disband_audience audience) {
    uint64_t ids[512];
    const uint64_t *after = NULL;
    const size_t room = sizeof ids / sizeof *ids;
    size_t count;
    const char *separator = "";
    do {
        check(disband_audience_numbers(audience, after, ids, room, &count));
        for (size_t index = 0; index < count; index++) {
            fprintf(out, "%s\"%" PRIu64 "\"", separator, ids[index]);
            separator = ",";
        }
        after = &ids[room - 1];
    } while (count == room);
}

static void write_outcome(FILE *out, disband_outcome outcome) {
    disband_bytes json;
    disband_audience audience;
    size_t signals;
    fputs("{\"reply\":", out);
    check(disband_outcome_wire_reply(outcome, &json));
    write_bytes(out, &json);
    fputs(",\"signals\":[", out);
    check(disband_outcome_signal_count(outcome, &signals));
    for (size_t index = 0; index < signals; index++) {
        fputs(index == 0 ? "{\"frame\":" : ",{\"frame\":", out);
        check(disband_outcome_wire_frame(outcome, index, false, &json));
        write_bytes(out, &json);
        fputs(",\"to\":[", out);
        check(disband_outcome_audience(outcome, index, &audience));
        write_recipients(out, audience);
        check(disband_audience_free(audience));
        fputs("]}", out);
    }
    fputs("]}\n", out);
}

static void write_string(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            fputc('\\', out);
            fputc(byte, out);
        } else if (byte < 0x20) {
            fprintf(out, "\\u%04x", byte);
        } else {
            fputc(byte, out);
        }
    }
    fputc('"', out);
}

/* Moves `*at` past `text`, if the text is there. */
static int skip(const char **at, const char *end, const char *text) {
    size_t len = strlen(text);
    if ((size_t)(end - *at) < len || memcmp(*at, text, len) != 0) {
        return 0;
    }
    *at += len;
    return 1;
}

/* Moves `*at` past a number without leading zeros that fits into 64 bits. */
static int skip_number(const char **at, const char *end, uint64_t *number) {
    const char *first = *at;
    *number = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (*number > (UINT64_MAX - digit) / 10) {
            return 0;
        }
        *number = *number * 10 + digit;
    }
    return *at > first && (*first != '0' || *at == first + 1);
}

/* Splits {"at":NOW,"KEY":VALUE} and runs it. The engine checks the value. Returns why it cannot be run,
 * or NULL. */
static const char *run_line(disband_engine engine, const char *line, size_t len, FILE *out) {
    const char *at = line, *end = line + len;
    uint64_t now;
    if (!skip(&at, end, "{\"at\":") || !skip_number(&at, end, &now)) {
        return "expected {\"at\": and a time";
    }
    int is_command = skip(&at, end, ",\"command\":");
    if (!is_command && !skip(&at, end, ",\"config\":")) {
        return "expected ,\"command\": or ,\"config\":";
    }
    if (at == end || *--end != '}') {
        return "expected } at the end";
    }
    disband_slice value = {at, (size_t)(end - at)};
    if (is_command) {
        disband_outcome outcome;
        if (disband_engine_apply(engine, DISBAND_FORMAT_JSON, value, now, &outcome) !=
            DISBAND_STATUS_OK) {
            return disband_last_error();
        }
        write_outcome(out, outcome);
        check(disband_outcome_free(outcome));
        return NULL;
    }
    disband_status status = disband_engine_set_config(engine, DISBAND_FORMAT_JSON, value);
    if (status == DISBAND_STATUS_OK) {
        fputs("{\"config\":\"set\"}\n", out);
    } else if (status == DISBAND_STATUS_CONFIG) {
        fputs("{\"error\":", out);
        write_string(out, disband_last_error());
        fputs("}\n", out);
    } else {
        return disband_last_error();
    }
    return NULL;
}

static void run(disband_engine engine, FILE *history, FILE *out) {
    char *line = NULL;
    size_t room = 0;
    ssize_t got;
    for (uint64_t number = 1; (got = getline(&line, &room, history)) >= 0; number++) {
        size_t len = (size_t)got;
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r')) {
            len--;
        }
        const char *why = run_line(engine, line, len, out);
        if (why != NULL) {
            fflush(out);
            stop(2, "line %" PRIu64 ": %s", number, why);
        }
    }
    if (ferror(history)) {
        stop(2, "the history cannot be read");
    }
    free(line);
}

static void write_snapshot(disband_engine engine, const char *path) {
    disband_bytes saved;
    disband_format format = format_of(path);
    FILE *file = opened(path, "wb");
    check(disband_engine_save(engine, format, &saved));
    write_bytes(file, &saved);
    closed(file, path);
}

static void run_all(const char *folder) {
    DIR *names = opendir(folder);
    struct dirent *entry;
    if (names == NULL) {
        stop(2, "%s: %s", folder, strerror(errno));
    }
    while ((entry = readdir(names)) != NULL) {
        const char *name = entry->d_name;
        if (!ends_with(name, strlen(name), ".jsonl")) {
            continue;
        }
        size_t len = strlen(name) - strlen(".jsonl");
        char *config = path_of(folder, name, len, ".config.json");
        char *history = path_of(folder, name, len, ".jsonl");
        char *output = path_of(folder, name, len, ".c.out");
        char *json = path_of(folder, name, len, ".c.json");
        char *postcard = path_of(folder, name, len, ".c.postcard");

        FILE *configured = fopen(config, "rb");
        disband_engine engine = new_engine(configured == NULL ? NULL : config);
        if (configured != NULL) {
            fclose(configured);
        }
        FILE *in = opened(history, "rb"), *out = opened(output, "wb");
        run(engine, in, out);
        fclose(in);
        closed(out, output);
        write_snapshot(engine, json);
        write_snapshot(engine, postcard);
        check(disband_engine_free(engine));

        free(config);
        free(history);
        free(output);
        free(json);
        free(postcard);
    }
    closedir(names);
}

int main(int count, char **arguments) {
    const char *config = NULL, *snapshot = NULL, *history = NULL;
    int at = 1;
    if (count == 3 && strcmp(arguments[1], "--all") == 0) {
        run_all(arguments[2]);
        return 0;
    }
    for (; at + 1 < count; at += 2) {
        if (strcmp(arguments[at], "--config") == 0) {
            config = arguments[at + 1];
        } else if (strcmp(arguments[at], "--snapshot-out") == 0) {
            snapshot = arguments[at + 1];
            format_of(snapshot);
        } else {
            break;
        }
    }
    if (at + 1 != count || strncmp(arguments[at], "--", 2) == 0) {
        stop(2, "usage: replay [--config FILE] [--snapshot-out FILE] HISTORY, or replay --all FOLDER");
    }
    history = arguments[at];
    disband_engine engine = new_engine(config);
    FILE *in = opened(history, "rb");
    run(engine, in, stdout);
    fclose(in);
    if (snapshot != NULL) {
        write_snapshot(engine, snapshot);
    }
    check(disband_engine_free(engine));
    if (fflush(stdout) != 0) {
        stop(1, "the output cannot be written");
    }
    return 0;
}
