// The header in C++: handles that free themselves, and an engine shared by threads. Run by programs.rs.

#include <disband.h>

#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

class Failed : public std::runtime_error {
  public:
    explicit Failed(disband_status status)
        : std::runtime_error(std::string(disband_status_name(status)) + ": " + disband_last_error()),
          status(status) {}
    disband_status status;
};

void check(disband_status status) {
    if (status != DISBAND_STATUS_OK) {
        throw Failed(status);
    }
}

void expect(bool holds, const char *what) {
    if (!holds) {
        throw std::logic_error(what);
    }
}

// A handle that is freed at the end of its scope.
template <typename Handle, disband_status (*free)(Handle)> class Owned {
  public:
    explicit Owned(Handle handle) : handle(handle) {}
    Owned(Owned &&other) noexcept : handle(std::exchange(other.handle, Handle{0})) {}
    Owned(const Owned &) = delete;
    Owned &operator=(const Owned &) = delete;
    Owned &operator=(Owned &&) = delete;
    ~Owned() {
        if (handle.id != 0 && free(handle) != DISBAND_STATUS_OK) {
            std::abort();
        }
    }
    Handle get() const { return handle; }

  private:
    Handle handle;
};

using Engine = Owned<disband_engine, disband_engine_free>;
using Outcome = Owned<disband_outcome, disband_outcome_free>;
using Audience = Owned<disband_audience, disband_audience_free>;

disband_slice slice(const std::string &text) { return {text.data(), text.size()}; }

std::string taken(disband_bytes &bytes) {
    std::string text(reinterpret_cast<const char *>(bytes.data), bytes.len);
    check(disband_bytes_free(&bytes));
    return text;
}

Outcome apply(const Engine &engine, const std::string &command) {
    disband_outcome outcome;
    check(disband_engine_apply(engine.get(), DISBAND_FORMAT_JSON, slice(command), 1, &outcome));
    return Outcome(outcome);
}

Engine new_engine() {
    disband_engine engine;
    const std::string config = R"({"quotas":{"post":"unlimited"}})";
    check(disband_engine_new(DISBAND_IDS_TEXT, DISBAND_FORMAT_JSON, slice(config), &engine));
    return Engine(engine);
}

void an_outcome_is_read() {
    const Engine engine = new_engine();
    apply(engine, R"({"create":{"owner":"alice","group":"cats"}})");
    const Outcome joined = apply(engine, R"({"join":{"user":"bob","group":"cats"}})");
    disband_bytes json;
    check(disband_outcome_wire_reply(joined.get(), &json));
    expect(taken(json) == R"({"ok":true,"code":200,"msg":"OK","data":{"stint":2}})", "reply");
    disband_audience audience;
    check(disband_outcome_audience(joined.get(), 0, &audience));
    const Audience owned(audience);
    bool contains = false;
    check(disband_audience_contains(audience, DISBAND_FORMAT_JSON, slice("\"alice\""), &contains));
    expect(contains, "alice");
}

void a_failure_is_thrown() {
    const Engine engine = new_engine();
    try {
        apply(engine, R"({"join":{"user":5,"group":"cats"}})");
    } catch (const Failed &failed) {
        expect(failed.status == DISBAND_STATUS_BAD_FORMAT, "status");
        return;
    }
    throw std::logic_error("nothing was thrown");
}

void threads_share_an_engine() {
    const Engine engine = new_engine();
    apply(engine, R"({"create":{"owner":"alice","group":"cats"}})");
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; thread++) {
        threads.emplace_back([&engine] {
            for (int post = 0; post < 250; post++) {
                apply(engine, R"({"post":{"author":"alice","group":"cats","message":"hello"}})");
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    disband_bytes json;
    check(disband_engine_read(engine.get(), DISBAND_FORMAT_JSON, slice("\"stats\""), &json));
    expect(taken(json).find(R"("entries":1000,)") != std::string::npos, "entries");
    check(disband_engine_check(engine.get()));
}

} // namespace

int main() {
    an_outcome_is_read();
    a_failure_is_thrown();
    threads_share_an_engine();
    std::cout << "contract kept\n";
}
