// Who there is, at the OpenID provider and among the local users alike. Passwords are for these tests only.

export const accounts = {
  alice: { password: 'alice-password', name: 'Alice Example', email: 'alice@example.com', roles: ['admin', 'user'] },
  bob: { password: 'bob-password', name: 'Bob Example', email: 'bob@example.com', roles: ['user'] },
};

export function claimsOf(sub) {
  const { name, email, roles } = accounts[sub];
  return { sub, name, email, email_verified: true, roles };
}
