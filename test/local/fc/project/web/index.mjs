// Answers an HTTP event with what arrived.
export const handler = async (event) => {
  const request = JSON.parse(event.toString('utf8'));
  if (request.rawPath === '/throw') throw new Error('as asked');
  if (request.rawPath === '/bare') return { plain: true };
  if (request.rawPath === '/bytes')
    return {
      statusCode: 200,
      headers: { 'content-type': 'image/png', date: 'never' },
      isBase64Encoded: true,
      body: Buffer.from([137, 0, 255]).toString('base64'),
    };
  return {
    statusCode: 201,
    headers: { 'content-type': 'application/json', 'x-own': 'yes' },
    isBase64Encoded: false,
    body: JSON.stringify(request),
  };
};
