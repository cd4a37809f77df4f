"""Objects, dictionaries, strings and generators, as ordinary scripts use them."""


class Account:
    def __init__(self, name):
        self.name = name
        self.entries = []

    def add(self, amount):
        self.entries.append(amount)
        return self

    def total(self):
        return sum(entry for entry in self.entries if entry % 3)


def main():
    accounts = {}
    number = 1
    for _ in range(60000):
        number = (number * 1103515245 + 12345) % 2147483648
        name = "account-%d" % (number % 997)
        if name not in accounts:
            accounts[name] = Account(name)
        accounts[name].add(number >> 16)
    ranking = sorted(accounts.values(), key=lambda account: (-account.total(), account.name))
    text = ",".join(account.name.upper() for account in ranking)
    print(len(text), ranking[0].total(), text.count("7"))


main()
