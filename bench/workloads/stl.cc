/*
 * What cc1plus compiles: a file as programs in C++ have it, half of the standard library and a
 * page of templates over it.  It is never linked or run.
 */
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

namespace shop {

using money = std::variant<long, double>;

struct item {
    std::string name;
    money price;
    std::set<std::string> tags;
    auto operator<=>(const item &) const = default;
};

template <typename Key, typename Value> class catalogue {
  public:
    template <typename... Arguments> Value &add(const Key &key, Arguments &&...arguments)
    {
        auto [at, is_new] = entries_.try_emplace(key, std::forward<Arguments>(arguments)...);
        if (is_new)
            order_.push_back(at->first);
        return at->second;
    }
    std::optional<Value> find(const Key &key) const
    {
        auto at = entries_.find(key);
        return at == entries_.end() ? std::nullopt : std::make_optional(at->second);
    }
    template <typename Function> void each(Function function) const
    {
        for (const auto &key : order_)
            function(key, entries_.at(key));
    }

  private:
    std::map<Key, Value> entries_;
    std::vector<Key> order_;
};

template <typename Range, typename Function> auto group_by(const Range &range, Function key)
{
    std::unordered_map<decltype(key(*range.begin())), std::vector<typename Range::value_type>>
        groups;
    for (const auto &each : range)
        groups[key(each)].push_back(each);
    return groups;
}

double amount(const money &value)
{
    return std::visit([](auto number) { return static_cast<double>(number); }, value);
}

std::string report(const std::vector<item> &items)
{
    std::ostringstream out;
    auto groups = group_by(items, [](const item &each) { return each.name.substr(0, 1); });
    std::map<std::string, std::vector<item>> sorted(groups.begin(), groups.end());
    for (auto &[letter, group] : sorted) {
        std::sort(group.begin(), group.end());
        double sum =
            std::accumulate(group.begin(), group.end(), 0.0,
                            [](double so_far, auto &each) { return so_far + amount(each.price); });
        out << letter << ": " << group.size() << " for " << sum << '\n';
    }
    return out.str();
}

struct visitor {
    virtual ~visitor() = default;
    virtual void visit(const item &) = 0;
};

struct counting : visitor {
    std::map<std::string, std::size_t> counts;
    void visit(const item &each) override
    {
        for (const auto &tag : each.tags)
            ++counts[tag];
    }
};

std::tuple<std::string, std::size_t> commonest(const std::vector<std::shared_ptr<item>> &items)
{
    std::unique_ptr<counting> counter = std::make_unique<counting>();
    for (const auto &each : items)
        counter->visit(*each);
    auto most = std::max_element(counter->counts.begin(), counter->counts.end(),
                                 [](auto &a, auto &b) { return a.second < b.second; });
    if (most == counter->counts.end())
        return {};
    return {most->first, most->second};
}

} // namespace shop

template class shop::catalogue<std::string, shop::item>;
template class shop::catalogue<long, std::function<void(const shop::item &)>>;
template class shop::catalogue<std::tuple<int, std::string>, std::vector<shop::money>>;

int main()
{
    shop::catalogue<std::string, shop::item> all;
    all.add("pen", shop::item{"pen", 120L, {"small", "blue"}});
    all.add("book", shop::item{"book", 9.95, {"paper"}});
    std::vector<shop::item> items;
    std::vector<std::shared_ptr<shop::item>> shared;
    all.each([&](const std::string &, const shop::item &each) {
        items.push_back(each);
        shared.push_back(std::make_shared<shop::item>(each));
    });
    std::cout << shop::report(items) << std::get<0>(shop::commonest(shared)) << '\n';
    return all.find("pen") ? 0 : 1;
}
