// Who there is, at the OpenID provider and among the local users alike. Passwords are for these tests only.

export const accounts = {
  alice: {
    password: 'alice-password',
    hash: '$argon2id$v=19$m=19456,t=2,p=1$alL5/yQT/tGEUp9SeZVDtw$toKtS8xzfqDqYQdaHv8OurMbI5uau0pYusBeMtVE9K8',
    name: 'Alice Example',
    email: 'alice@example.com',
    roles: ['admin', 'user'],
  },
  bob: {
    password: 'bob-password',
    hash: '$argon2id$v=19$m=19456,t=2,p=1$R+5/2ehZhsYgE33+mKsN2g$/1kpWZ8ThvDBjsVBBAyH6QAV+Tvr+o+TmOAuka9tYyQ',
    name: 'Bob Example',
    email: 'bob@example.com',
    roles: ['user'],
  },
};

export function claimsOf(sub) {
  const { name, email, roles } = accounts[sub];
  return { sub, name, email, email_verified: true, roles };
}
